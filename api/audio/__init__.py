"""Recordings as sent to the player: joined, converted, cached."""
