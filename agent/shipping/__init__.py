"""The client of the API: calls and recordings up, settings and commands down."""
