"""The recording rules: which channels are recorded, which numbers are outside, which requests are allowed."""
