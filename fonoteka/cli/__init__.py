"""What the commands do that need more than one part; `fonoteka.cli.main` calls them."""
