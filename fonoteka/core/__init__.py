"""The vocabulary of all parts: call reports, domains, manifests, the spool, errors, configuration."""
