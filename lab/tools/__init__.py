"""Programs for developers: capture of event streams, an installation beside the lab's Asterisk."""
