"""The connection to Asterisk's manager interface (AMI): framing, actions, an ordered stream of events."""
