"""Domains, users and numbers, as `fonoteka apply` sets them."""
