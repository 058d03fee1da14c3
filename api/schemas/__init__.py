"""The API's requests and responses, as Pydantic models."""
