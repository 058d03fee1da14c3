"""Tones for telephones."""
