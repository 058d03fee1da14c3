"""Live events: from a change in the store to the open sockets."""
