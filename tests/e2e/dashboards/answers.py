"""What Prometheus returns for the queries of dashboards and rules over a whole test run."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import promql_parser as ast
import requests

from tests.contract.promql import rules, walk
from tests.grafana import boards

STEP = 15


class Question(NamedTuple):
    """A query, and the panel, variable, rule or alert that has it."""

    where: str
    expression: str


class Answer(NamedTuple):
    """How many series had a number at any time of the run, and how long the query took."""

    question: Question
    series: int
    seconds: float


def of_dashboards(values: Mapping[str, str]) -> Iterator[Question]:
    """Yield every query of panels and annotations with these values of variables; multi-value ones are `.*`."""
    multi = {
        (uid, variable["name"])
        for uid, board in boards.BOARDS.items()
        for variable in board["templating"]["list"]
        if variable.get("multi")
    }
    for query in (*boards.panel_queries(), *boards.annotation_queries()):
        uid = query.where.split(":")[0]
        boards.VALUES.update({name: ".*" if (uid, name) in multi else value for name, value in values.items()})
        yield Question(query.where, query.substituted)


def of_variables(values: Mapping[str, str]) -> Iterator[Question]:
    """Yield every query of a variable."""
    boards.VALUES.update(values)
    for query, label in boards.variable_queries():
        yield Question(query.where, f"count by({label}) ({query.substituted})")


def of_rules() -> Iterator[Question]:
    """Yield every recorded series, and the selectors of every alert: an alert that does not fire is no failure."""
    for rule in rules():
        if "record" in rule:
            name = rule["record"]
            labels = ", ".join(f'{label}="{value}"' for label, value in rule.get("labels", {}).items())
            yield Question(f"rule {name}{{{labels}}}", f"{name}{{{labels}}}")
    for rule in rules(boards.GRAFANA.parent / "prometheus" / "alerts"):
        for selector in walk(ast.parse(rule["expr"])):
            if isinstance(selector, ast.VectorSelector) and not selector.offset:
                yield Question(f"alert {rule['alert']}: {selector.name}", selector.prettify())


class QueryLog:
    """Runs queries over the time since it was created. A query that returned data once is not run again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._since = time.time()
        self._known: dict[str, Answer] = {}
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        """Close the HTTP connections."""
        self._session.close()

    def ask(self, question: Question) -> Answer:
        """Run a query over the whole time, even where a panel shows only the newest value."""
        began = time.monotonic()
        now = time.time()
        body: dict[str, str] = {"query": question.expression, "start": f"{self._since:.0f}", "end": f"{now:.0f}"}
        reply = self._session.post(f"{self._url}/api/v1/query_range", data={**body, "step": str(STEP)}, timeout=60)
        if not reply.ok:
            raise ValueError(f"{question.where}: {reply.text[:500]}")
        found = sum(has_number(series["values"]) for series in reply.json()["data"]["result"])
        return Answer(question, found, time.monotonic() - began)

    def ask_all(self, questions: Sequence[Question]) -> list[Answer]:
        """The answer to each question, as of now."""
        for question in questions:
            known = self._known.get(question.expression)
            if known is None or not known.series:
                self._known[question.expression] = self.ask(question)
        return [self._known[question.expression]._replace(question=question) for question in questions]


def has_number(values: Sequence[Any]) -> bool:
    """Whether a series has any value that is not NaN."""
    return any(not math.isnan(float(value)) for _, value in values)
