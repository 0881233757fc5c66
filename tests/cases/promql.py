"""The PromQL expressions of docker/, and what they ask for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import yaml

DOCKER = Path(__file__).resolve().parents[2] / "docker"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DOCKER / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((DOCKER / "grafana" / "gleaner.json").read_text())

# a metric and the labels that are matched on
Wanted = tuple[str, frozenset[str]]
# of Prometheus itself
GIVEN_METRICS = {"up"}
GIVEN_LABELS = {"job", "instance"}


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression, as where it is and its text."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            # a variable of Grafana's
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m")


def wanted(expression: str) -> set[Wanted]:
    """The metrics of an expression, with the labels that it matches or groups by.

    Raises:
        ValueError: it is no PromQL.
    """
    found: set[Wanted] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            labels = {matcher.name for matcher in node.matchers.matchers}
            found.add((node.name, frozenset(labels - GIVEN_LABELS)))
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            found.update(
                (name, frozenset(node.modifier.labels) - GIVEN_LABELS) for name, _ in wanted(str(node.expr))
            )

    promql_parser.walk(promql_parser.parse(expression), visit)
    return {(name, labels) for name, labels in found if name not in GIVEN_METRICS}


def missing(series: set[Wanted]) -> list[tuple[str, str]]:
    """What the expressions ask for and none of these series has."""
    return [
        (where, f"{name} with {', '.join(sorted(labels)) or 'no labels'}")
        for where, expression in expressions()
        for name, labels in wanted(expression)
        if not any(name == has and labels <= its for has, its in series)
    ]
