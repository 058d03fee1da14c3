"""From the store's rows to the API's responses."""
