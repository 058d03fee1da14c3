"""Compare the guides with the code.

Keys and defaults, reasons, metrics, log events, buttons, pictures, services.
"""

import re
from enum import Enum
from pathlib import Path
from typing import Final

import pytest
from pydantic import BaseModel

from fonoteka.core.call_report import Reason
from fonoteka.core.config import Configuration
from store.provisioning.directory_file import WantedDomain, WantedNumber, WantedUser

_ROOT: Final = Path(__file__).parents[2]
_DOCS: Final = _ROOT / "docs"
_LANGUAGES: Final = ("ru", "en")
_GUIDES: Final = tuple(_DOCS / f"{reader}-guide.{language}.md" for reader in ("user", "operator") for language in _LANGUAGES)
_MOST_BYTES: Final = 120_000
_EACH_LANGUAGE = pytest.mark.parametrize("language", _LANGUAGES)


def _operators_guide(language: str) -> str:
    return (_DOCS / f"operator-guide.{language}.md").read_text(encoding="utf-8")


def _rows(text: str) -> list[list[str]]:
    """Return the cells of all table rows, without backquotes where a cell is one piece of code."""
    lines = (line for line in text.splitlines() if line.startswith("| "))
    return [[re.sub(r"^`([^`]*)`$", r"\1", cell.strip()) for cell in line.strip().strip("|").split(" | ")] for line in lines]


def _written(default: object) -> str:
    """Return a default as the guides write it; `—` for none."""
    if default is None or default == () or default == "":
        return "—"
    if isinstance(default, bool):
        return str(default).lower()
    return str(default.value if isinstance(default, Enum) else default)


def _keys(section: str, shape: type[BaseModel]) -> dict[str, str]:
    fields = {name: field for name, field in shape.model_fields.items() if not _is_table(field.annotation)}
    return {
        f"{section}.{name}": "—" if field.is_required() else _written(field.get_default(call_default_factory=True))
        for name, field in fields.items()
    }


def _is_table(annotation: object) -> bool:
    return "Wanted" in str(annotation)


@_EACH_LANGUAGE
def test_every_key_of_the_configuration_with_its_default(language: str) -> None:
    expected: dict[str, str] = {}
    for section, field in Configuration.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, BaseModel)
        expected |= _keys(section, field.annotation)
    documented = {
        row[0]: row[1]
        for row in _rows(_operators_guide(language))
        if re.fullmatch(rf"({'|'.join(Configuration.model_fields)})\.\w+", row[0])
    }
    assert documented == expected


@_EACH_LANGUAGE
def test_every_key_of_the_apply_file_with_its_default(language: str) -> None:
    expected = _keys("domain", WantedDomain) | _keys("user", WantedUser) | _keys("number", WantedNumber)
    documented = {row[0]: row[1] for row in _rows(_operators_guide(language)) if re.fullmatch(r"(domain|user|number)\.\w+", row[0])}
    assert documented == expected


@_EACH_LANGUAGE
def test_every_reason_in_the_portals_words(language: str) -> None:
    words = (_ROOT / f"portal/src/i18n/{language}.ts").read_text(encoding="utf-8")
    block = words[words.index("reason: {") :]
    expected = {reason.value: re.search(rf'{reason.value}: "([^"]+)"', block) for reason in Reason}
    documented = {
        row[1]: row[0]
        for row in _rows(_operators_guide(language))
        if len(row) == 4 and row[1] in {reason.value for reason in Reason}
    }
    assert documented == {reason: found[1] for reason, found in expected.items() if found is not None}
    assert len(documented) == len(Reason)


def _metrics() -> set[str]:
    """Return the names of all metrics as Prometheus reads them."""
    names = set()
    for path in ("agent/monitoring/metrics.py", "api/dependencies/metrics.py"):
        for kind, name in re.findall(r'(Gauge|Counter|Histogram)\(\s*"(\w+)"', (_ROOT / path).read_text(encoding="utf-8")):
            names.add(f"{name}_total" if kind == "Counter" else name)
    return names


@_EACH_LANGUAGE
def test_every_metric_is_explained(language: str) -> None:
    documented = {row[0] for row in _rows(_operators_guide(language)) if row[0].startswith("fonoteka_")}
    assert documented == _metrics()


@_EACH_LANGUAGE
def test_events_of_the_log_exist(language: str) -> None:
    parts = ("agent", "api", "mixer", "store", "fonoteka")
    sources = "\n".join(path.read_text(encoding="utf-8") for part in parts for path in (_ROOT / part).rglob("*.py"))
    text = _operators_guide(language)
    table = text[text.index("| `ami.up`") :].partition("\n\n")[0]
    documented = [name for line in table.splitlines() for name in re.findall(r"`([\w.]+)`", line.split(" | ")[0])]
    assert len(documented) > 10
    assert [name for name in documented if f'"{name}"' not in sources] == []


def test_pictures_are_all_used_and_small() -> None:
    texts = [guide.read_text(encoding="utf-8") for guide in _GUIDES] + [(_ROOT / "README.md").read_text(encoding="utf-8")]
    used = {name for text in texts for name in re.findall(r"pictures/([\w/-]+\.png)", text)}
    there = {str(path.relative_to(_DOCS / "pictures")): path.stat().st_size for path in (_DOCS / "pictures").rglob("*.png")}
    assert set(there) == used
    assert {name: size for name, size in there.items() if size >= _MOST_BYTES} == {}


@_EACH_LANGUAGE
def test_words_in_bold_are_words_of_the_portal(language: str) -> None:
    """Every text in bold in the user's guide is a text of the portal, letter by letter."""
    source = _ROOT / "portal" / "src"
    files = (
        *(source / "i18n").rglob(f"{language}.ts"),
        *source.rglob("words.ts"),
    )  # some folders have the texts of both languages in one file
    words = "\n".join(path.read_text(encoding="utf-8") for path in files)
    portal_texts = set(re.findall(r'"((?:[^"\\]|\\.)+)"', words))
    documented = set(re.findall(r"\*\*([^*]+)\*\*", (_DOCS / f"user-guide.{language}.md").read_text(encoding="utf-8")))
    assert len(documented) > 20
    assert documented - portal_texts == set()


def test_services_start_commands_that_exist() -> None:
    command = re.compile(r"^ExecStart=/opt/fonoteka/bin/fonoteka (\w+) --config /etc/fonoteka/fonoteka.toml$", re.M)
    cli = (_ROOT / "fonoteka/cli/commands/parts.py").read_text(encoding="utf-8")
    units = sorted((_ROOT / "deploy/systemd").glob("*.service"))
    assert [unit.name for unit in units] == [
        "fonoteka-agent.service",
        "fonoteka-api.service",
        "fonoteka-mixer.service",
        "fonoteka.service",
    ]
    for unit in units:
        found = command.search(unit.read_text(encoding="utf-8"))
        assert found is not None
        assert f"\ndef {found[1]}(" in cli
