"""Check Grafana's dashboards and the alert rules: what they ask Prometheus for exists."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import promql_parser
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from agent.monitoring import metrics as agent_metrics
from api.dependencies.metrics import Metrics

_DEPLOY: Final = Path(__file__).parents[2] / "deploy"
_BOARDS: Final = sorted((_DEPLOY / "grafana" / "dashboards").glob("*.json"))
_SUFFIXES: Final = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
_OF_THE_SCRAPE: Final = {"instance", "job"}  # labels that Prometheus adds
_RATES: Final = {"rate", "increase"}
_COLUMNS: Final = 24  # of a dashboard


class Series(NamedTuple):
    """A time series that an expression names, its labels, and whether a rate of it is taken."""

    name: str
    labels: frozenset[str]
    is_rate: bool


def _existing() -> dict[str, tuple[str, frozenset[str]]]:
    """Return the kind and the labels of each time series that agent and API serve."""
    found = {}
    for metric in (*vars(agent_metrics).values(), *vars(Metrics()).values()):
        if isinstance(metric, MetricWrapperBase):
            family = next(iter(metric.describe()))
            for suffix in _SUFFIXES[family.type]:
                of_bucket = {"le"} if suffix == "_bucket" else set()
                found[family.name + suffix] = family.type, frozenset({*metric._labelnames, *of_bucket})
    return found


def _series(expression: str) -> Iterator[Series]:
    """Yield the time series of an expression; the labels it groups by count as its own."""
    yield from _walk(promql_parser.parse(expression), frozenset(), is_rate=False)


def _walk(node: Any, grouped: frozenset[str], *, is_rate: bool) -> Iterator[Series]:
    match node:
        case promql_parser.VectorSelector():
            yield Series(node.name or "", grouped | {each.name for each in node.matchers.matchers}, is_rate)
        case promql_parser.MatrixSelector():
            yield from _walk(node.vector_selector, grouped, is_rate=is_rate)
        case promql_parser.Call():
            for argument in node.args:
                yield from _walk(argument, grouped, is_rate=is_rate or node.func.name in _RATES)
        case promql_parser.AggregateExpr():
            by = frozenset(node.modifier.labels) if node.modifier else frozenset[str]()
            yield from _walk(node.expr, grouped | by, is_rate=is_rate)
        case promql_parser.BinaryExpr():
            for side in (node.lhs, node.rhs):
                yield from _walk(side, grouped, is_rate=is_rate)
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr() | promql_parser.SubqueryExpr():
            yield from _walk(node.expr, grouped, is_rate=is_rate)
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return
        case _:
            raise TypeError(f"{node!r} is not known here")


def _wrong(expression: str) -> list[str]:
    """Return what is wrong with an expression."""
    found, existing = [], _existing()
    asked = list(_series(expression))
    for series in asked:
        if series.name not in existing:
            found.append(f"{series.name} does not exist")
            continue
        kind, labels = existing[series.name]
        if foreign := series.labels - labels - _OF_THE_SCRAPE:
            found.append(f"{series.name} has no {sorted(foreign)}")
        if series.is_rate == (kind == "gauge"):
            found.append(f"{series.name} is a {kind}: {'a rate of it means nothing' if series.is_rate else 'only its rate does'}")
    return found if asked else [f"{expression!r} asks for nothing"]


def _board(path: Path) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return board


def _alerts() -> list[dict[str, Any]]:
    rules = yaml.safe_load((_DEPLOY / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in rules["groups"] for rule in group["rules"]]


def test_what_is_wrong_is_found() -> None:
    assert _wrong("fonoteka_calls") == ["fonoteka_calls does not exist"]
    assert _wrong("sum by (user) (rate(fonoteka_calls_total[5m]))") == ["fonoteka_calls_total has no ['user']"]
    assert _wrong('fonoteka_spool_bytes{kind="call"}') == ["fonoteka_spool_bytes has no ['kind']"]
    assert _wrong("rate(fonoteka_spool_bytes[5m])") == ["fonoteka_spool_bytes is a gauge: a rate of it means nothing"]
    assert _wrong("fonoteka_calls_total > 3") == ["fonoteka_calls_total is a counter: only its rate does"]


@pytest.mark.parametrize("path", _BOARDS, ids=lambda path: path.stem)
def test_every_series_of_a_dashboard_exists(path: Path) -> None:
    expressions = [target["expr"] for panel in _board(path)["panels"] for target in panel.get("targets", ())]
    assert len(expressions) > 10
    assert {expression: wrong for expression in expressions if (wrong := _wrong(expression))} == {}


@pytest.mark.parametrize("path", _BOARDS, ids=lambda path: path.stem)
def test_the_variables_of_a_dashboard_are_of_series_that_exist(path: Path) -> None:
    variables = {variable["name"]: variable for variable in _board(path)["templating"]["list"]}
    used = {name for name in ("pbx", "api") if f"${name}" in path.read_text(encoding="utf-8")}
    assert used | {"datasource"} == set(variables)
    for name in used:
        asked = variables[name]["query"]["query"].removeprefix("label_values(").removesuffix(", instance)")
        assert _wrong(asked) == []


@pytest.mark.parametrize("path", _BOARDS, ids=lambda path: path.stem)
def test_panels_of_a_dashboard_have_their_own_place(path: Path) -> None:
    panels = _board(path)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < _COLUMNS, panel["title"]
        taken |= cells


def test_dashboards_are_told_apart() -> None:
    boards = [_board(path) for path in _BOARDS]
    assert len(boards) == len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == 3


@pytest.mark.parametrize("rule", _alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_exists_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert _wrong(rule["expr"]) == []
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert len(rule["annotations"]["runbook"]) > 40
    assert rule["annotations"]["summary"]
