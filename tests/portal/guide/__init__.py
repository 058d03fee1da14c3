"""The pictures of the guides (docs/*-guide.*.md), taken of the running portal: `make docs`."""
