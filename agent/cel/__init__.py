"""The CEL journal of Asterisk: read, turned into the events of calls, and folded after a gap."""
