"""`fonoteka apply --from-asterisk`: a file for `apply` to begin with, from the endpoints that the PBX has."""
