"""The rights of an outside party: the calls of a number, found and erased."""
