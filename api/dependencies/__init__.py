"""Dependencies of routes: authentication, services, metrics."""
