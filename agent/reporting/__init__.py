"""What the store is told about a call, and the journal that keeps it until the store has it."""
