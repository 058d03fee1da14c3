"""Call flows that the telephones play."""
