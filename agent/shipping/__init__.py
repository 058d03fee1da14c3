"""The agent's client of the API: calls and recordings out, settings and commands in."""
