"""Requests for help, sent by e-mail."""
