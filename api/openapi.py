"""Prints the OpenAPI document, from which the portal's types are made: `python -m api.openapi > portal/openapi.json`."""

import json
import sys

from api.app import create_app
from fonoteka.core.config import Configuration


def main() -> None:
    """The document, on stdout."""
    json.dump(create_app(Configuration()).openapi(), sys.stdout, indent=2, ensure_ascii=False, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
