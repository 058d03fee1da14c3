"""The vocabulary of Fonoteka (`core`) and the command line (`cli`)."""

__version__ = "0.1.0"
