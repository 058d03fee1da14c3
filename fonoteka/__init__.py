"""The vocabulary of Fonoteka: calls, decisions, manifests, configuration and the command line."""

__version__ = "0.1.0"
