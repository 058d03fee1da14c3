"""The API's routes, one file for each thing they speak of."""
