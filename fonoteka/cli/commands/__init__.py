"""The commands and their options. Each imports what it runs when it runs."""
