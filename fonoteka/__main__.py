"""`python -m fonoteka` is the same as `fonoteka`."""

from fonoteka.cli.main import main

main()
