"""What a Prometheus answered to the queries of dashboards and rules, over the whole of a run."""

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
    """A query and where it stands."""

    where: str
    expression: str


class Answer(NamedTuple):
    """How many series had a number at some moment of the run, and how long it took to ask as Grafana does."""

    question: Question
    series: int
    seconds: float


def of_dashboards(values: Mapping[str, str]) -> Iterator[Question]:
    """Yield every query of panels and annotations, with these values of variables; where several can be chosen, all."""
    several = {
        (uid, variable["name"])
        for uid, board in boards.BOARDS.items()
        for variable in board["templating"]["list"]
        if variable.get("multi")
    }
    for query in (*boards.panel_queries(), *boards.annotation_queries()):
        uid = query.where.split(":")[0]
        boards.VALUES.update({name: ".*" if (uid, name) in several else value for name, value in values.items()})
        yield Question(query.where, query.substituted)


def of_variables(values: Mapping[str, str]) -> Iterator[Question]:
    """Yield every query of a variable."""
    boards.VALUES.update(values)
    for query, label in boards.variable_queries():
        yield Question(query.where, f"count by({label}) ({query.substituted})")


def of_rules() -> Iterator[Question]:
    """Yield every recorded series, and for alerts what they look at: that an alert is silent is no fault."""
    for rule in rules():
        if "record" in rule:
            name = rule["record"]
            labels = ", ".join(f'{label}="{value}"' for label, value in rule.get("labels", {}).items())
            yield Question(f"rule {name}{{{labels}}}", f"{name}{{{labels}}}")
    for rule in rules(boards.GRAFANA.parent / "prometheus" / "alerts"):
        for selector in walk(ast.parse(rule["expr"])):
            if isinstance(selector, ast.VectorSelector) and not selector.offset:
                yield Question(f"alert {rule['alert']}: {selector.name}", selector.prettify())


class Interview:
    """Asks one Prometheus about the time since it was made; what was answered once is not asked again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._since = time.time()
        self._known: dict[str, Answer] = {}
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        """Let go of sockets."""
        self._session.close()

    def ask(self, question: Question) -> Answer:
        """Whether there was ever a number, even where a panel shows only the newest."""
        began = time.monotonic()
        now = time.time()
        body: dict[str, str] = {"query": question.expression, "start": f"{self._since:.0f}", "end": f"{now:.0f}"}
        reply = self._session.post(f"{self._url}/api/v1/query_range", data={**body, "step": str(STEP)}, timeout=60)
        if not reply.ok:
            raise ValueError(f"{question.where}: {reply.text[:500]}")
        found = sum(has_number(series["values"]) for series in reply.json()["data"]["result"])
        return Answer(question, found, time.monotonic() - began)

    def ask_all(self, questions: Sequence[Question]) -> list[Answer]:
        """The answers to each of them, as far as there are any by now."""
        for question in questions:
            known = self._known.get(question.expression)
            if known is None or not known.series:
                self._known[question.expression] = self.ask(question)
        return [self._known[question.expression]._replace(question=question) for question in questions]


def has_number(values: Sequence[Any]) -> bool:
    """Whether a series is ever more than NaN."""
    return any(not math.isnan(float(value)) for _, value in values)
