"""`python -m fonoteka` is the same as `fonoteka`."""

from fonoteka.cli import main

main()
