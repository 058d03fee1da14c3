"""What routes ask FastAPI for: the session, services, metrics."""
