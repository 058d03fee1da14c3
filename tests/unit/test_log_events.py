"""Log events are named `noun.verb`, and the reason for an event has the key `reason`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("fonoteka", "agent", "mixer", "store", "api")
METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
EVENT = re.compile(r"[a-z_]+(\.[a-z_]+)+")
# `error` is allowed: it holds the text of an exception.
NOT_FOR_REASONS = {"because", "cause", "cause_text", "error_text", "failure", "problem", "reason_text", "trouble", "why"}


def wrong_log_calls(source: str) -> Iterator[str]:
    """Yield the line and the mistake of each call of a structlog logger that breaks the rule.

    In a module that imports structlog, a call of a method such as `info` is one of a logger;
    `exception()` without arguments is one of a task.
    """
    tree = ast.parse(source)
    if not any(_imports_structlog(node) for node in ast.walk(tree)):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr == "exception" and not (node.args or node.keywords):
            continue
        if node.func.attr in METHODS:
            event = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            if not isinstance(event, str) or not EVENT.fullmatch(event):
                yield f"{node.lineno}: the event is {event!r}"
        if node.func.attr in METHODS | {"bind"}:
            yield from (f"{node.lineno}: {key.arg} is `reason`" for key in node.keywords if key.arg in NOT_FOR_REASONS)


def _imports_structlog(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name.partition(".")[0] == "structlog" for alias in node.names)
    return isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "structlog"


@pytest.mark.parametrize("package", PACKAGES)
def test_events_and_reasons_have_the_usual_names(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    assert [
        f"{file.relative_to(ROOT)}:{mistake}" for file in files for mistake in wrong_log_calls(file.read_text(encoding="utf-8"))
    ] == []


@pytest.mark.parametrize(
    ("call", "mistakes"),
    [
        ('log.info("call.ended", reason="busy", error="x")', 0),
        ('log.bind(call="1").info("call.ended")', 0),
        ('log.info("call_ended")', 1),
        ('log.info("Call ended")', 1),
        ("log.info(event)", 1),
        ('log.info(f"call.{event}")', 1),
        ("log.info()", 1),
        ("task.exception()", 0),
        ('log.error("call.lost", why="busy")', 1),
        ('log.bind(why="busy").error("call lost")', 2),
    ],
)
def test_the_check_finds_mistakes(call: str, mistakes: int) -> None:
    assert len(list(wrong_log_calls(f"import structlog\n{call}\n"))) == mistakes
    assert list(wrong_log_calls(call)) == []
