"""The recording rules: which channels are recorded, and which requests are allowed."""
