"""The traffic of `make demo`."""
