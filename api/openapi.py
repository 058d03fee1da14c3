"""Print the OpenAPI document, the source of the portal's types.

Run `python -m api.openapi > portal/openapi.json`, then `npm run types` in `portal/`.
"""

import json
import sys

from api.app import create_app
from fonoteka.core.config import Configuration


def main() -> None:
    """Print the document on stdout."""
    json.dump(create_app(Configuration()).openapi(), sys.stdout, indent=2, ensure_ascii=False, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
