"""The option `--config` of all commands."""

from pathlib import Path
from typing import Annotated

import typer

from fonoteka.core import config

DEFAULT_FILE = Path("fonoteka.toml")
_CONFIG_HELP = "The TOML file; default: fonoteka.toml here, if there is one."
Config = Annotated[
    Path | None,
    typer.Option("--config", envvar="FONOTEKA_CONFIG", help=_CONFIG_HELP),
]


def load(path: Path | None) -> tuple[config.Configuration, Path | None]:
    """Return the configuration, and its file if there is one. Raises ConfigurationError."""
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    return config.load(path), path
