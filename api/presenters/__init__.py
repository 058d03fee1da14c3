"""Convert values of the store into the API's models."""
