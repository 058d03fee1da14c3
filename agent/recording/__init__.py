"""Recordings on Asterisk: started, watched, restarted, stopped, handed to the mixer."""
