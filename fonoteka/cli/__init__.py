"""The command line: `main` and the commands that need more than one part."""
