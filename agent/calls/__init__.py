"""From events to calls: a pure fold, and the registry of the calls in progress."""
