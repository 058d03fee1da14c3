"""Pure rules: which channels are recorded, which numbers are outside, who may ask for what."""
