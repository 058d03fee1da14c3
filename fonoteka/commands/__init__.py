"""What the commands do that need more than one part; `fonoteka.cli` calls them."""
