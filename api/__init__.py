"""The HTTP API: the portal, programs and agents."""
