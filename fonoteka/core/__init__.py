"""The vocabulary of all parts: call reports, domains, manifests, spool, errors, configuration."""
