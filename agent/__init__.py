"""The agent on the PBX: events to calls, calls to decisions, decisions to recordings, shipped."""
