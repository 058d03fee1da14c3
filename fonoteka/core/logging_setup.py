"""Set up logging: one event per line on stderr, `key=value`, with the linkedid of the call."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog


def configure(part: str) -> None:
    """Set up logging for a part (`agent`, `mixer`, `api`, …); libraries log in the same format."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    line = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "part", "event"], sort_keys=False)

    def name_part(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        return {"part": part, **event}

    structlog.configure(
        processors=[*shared, name_part, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, name_part],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _one_line, line],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for noisy in ("httpx", "httpcore", "uvicorn.access", "asyncio", "aiosqlite", "sqlalchemy.engine", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))} | {0x2028: "\\u2028", 0x2029: "\\u2029"}


def _one_line(_: Any, __: str, event: Any) -> Any:
    """Escape control characters, so that text from outside cannot break a line or a terminal."""
    return {
        str(key).replace(" ", "_"): value.translate(_CONTROLS) if isinstance(value, str) else value for key, value in event.items()
    }
