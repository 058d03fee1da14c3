"""The connection to the Asterisk Manager Interface (AMI): framing, actions, events in order."""
