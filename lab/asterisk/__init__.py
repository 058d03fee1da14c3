"""A throw-away Asterisk: its root file system, configuration and server."""
