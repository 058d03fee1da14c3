"""`fonoteka apply --from-asterisk`: propose a file for `apply` from the endpoints of the PBX."""
