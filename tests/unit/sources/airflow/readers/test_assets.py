"""The reader of assets: what it shows of both releases, and how little it asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter.config.dag_filter import DagFilter
from exporter.config.settings import AirflowSettings
from exporter.metrics.catalogue.api import dags
from exporter.metrics.reading import ReaderError, Reading
from exporter.sources.airflow.api.objects import assets as api
from exporter.sources.airflow.api.objects.assets import Asset, AssetEvent
from exporter.sources.airflow.http.errors import AnswerError
from exporter.sources.airflow.readers.assets import MANY_ASSETS, AssetsReader, Questions
from exporter.sources.airflow.shared import AirflowState

RECORDED = Path(__file__).parents[4] / "data" / "api"


class Airflow:
    """Assets, and what is queued for the DAGs that they schedule; answers cost a second each."""

    def __init__(self, *, knows_last_events: bool = True) -> None:
        self.now = 0.0
        self.knows = knows_last_events
        self.uses: dict[str, tuple[str, ...]] = {"orders": ("report",), "rates": ("report",), "unused": ()}
        self.events: dict[str, float] = {}
        self.page: list[AssetEvent] = []
        self.queued: dict[str, list[float | None]] = {}
        self.errors: dict[str, ReaderError] = {}
        self.asked: list[str] = []

    def list_assets(self) -> list[Asset]:
        return [
            Asset(
                id=number,
                name=name,
                consumers=consumers,
                last_event=self.events.get(name) if self.knows else None,
                knows_last_event=self.knows,
            )
            for number, (name, consumers) in enumerate(self.uses.items())
        ]

    def last_event(self, asset_id: int) -> float | None:
        name = list(self.uses)[asset_id]
        self._ask(name)
        return self.events.get(name)

    def queued_since(self, dag_id: str) -> list[float | None]:
        self._ask(dag_id)
        return self.queued.get(dag_id, [])

    def _ask(self, key: str) -> None:
        self.now += 1.0
        self.asked.append(key)
        if key in self.errors:
            raise self.errors[key]


class Bench:
    """A reader over an Airflow."""

    def __init__(self, airflow: Airflow, interval: float = 60.0, include_dags: str = ".*") -> None:
        self.airflow = airflow
        questions = Questions(airflow.list_assets, lambda: airflow.page, airflow.last_event, airflow.queued_since)
        dag_filter = DagFilter(AirflowSettings(include_dags=re.compile(include_dags)))
        self.reader = AssetsReader(questions, AirflowState(), dag_filter, interval, lambda: airflow.now)

    def read(self) -> Reading:
        """Read once, a while after the last time."""
        self.airflow.asked.clear()
        self.airflow.now += 7200.0
        return self.reader.read()


def recorded(release: str, name: str) -> bytes:
    return (RECORDED / release / f"{name}.json").read_bytes()


# ---- replies ----------------------------------------------------------------------------------------


def test_assets_of_3_have_their_last_event() -> None:
    first, second = api.ASSET_LISTS[3].rows.decode(recorded("v2-3.3.2", "assets")).rows
    assert first == Asset(
        id=1,
        name="s3://lab/orders/daily.parquet",
        consumers=("asset_report", "asset_mail"),
        producers=(("etl_orders", "load.publish"),),
        last_event=1795423151.951497,
        knows_last_event=True,
    )
    assert second.consumers == ("asset_mail",)


def test_an_asset_of_3_that_was_never_updated_is_known_to_be_so() -> None:
    body = b'{"assets": [{"id": 1, "name": "n", "last_asset_event": {"id": null, "timestamp": null}}]}'
    (found,) = api.ASSET_LISTS[3].rows.decode(body).rows
    assert (found.last_event, found.knows_last_event) == (None, True)


def test_datasets_of_2_are_named_by_their_uri_and_have_no_last_event() -> None:
    first, _ = api.ASSET_LISTS[2].rows.decode(recorded("v1-2.11.2", "datasets")).rows
    assert first == Asset(
        id=1,
        name="s3://lab/orders/daily.parquet",
        consumers=("asset_report", "asset_mail"),
        producers=(("etl_orders", "load.publish"),),
    )


def test_events_of_2() -> None:
    newest = api.EVENT_LISTS[2].rows.decode(recorded("v1-2.11.2", "dataset_events")).rows[0]
    assert newest == AssetEvent(asset_id=2, timestamp=1795423834.554092)


# ---- what is shown ----------------------------------------------------------------------------------


def test_a_consumer_that_does_not_run_is_explained() -> None:
    airflow = Airflow()
    airflow.events, airflow.queued = {"orders": 50.0}, {"report": [51.0]}
    tables = Bench(airflow).read().tables
    assert tables[dags.ASSET_LAST_EVENT] == {("orders",): 50.0}
    assert tables[dags.DAG_SCHEDULE_ASSET_INFO] == {("report", "orders"): 1, ("report", "rates"): 1}
    assert tables[dags.QUEUED_ASSET_EVENTS] == {("report",): 1}
    assert tables[dags.OLDEST_QUEUED_ASSET_EVENT] == {("report",): 51.0}


def test_a_dag_that_was_not_asked_for_yet_is_absent_not_zero() -> None:
    airflow = Airflow()
    airflow.uses = {"orders": ("a", "b", "c", "d")}
    bench = Bench(airflow)
    assert bench.read().tables[dags.QUEUED_ASSET_EVENTS] == {("a",): 0, ("b",): 0}
    assert bench.read().tables[dags.QUEUED_ASSET_EVENTS] == dict.fromkeys([("a",), ("b",), ("c",), ("d",)], 0)


def test_only_dags_that_are_read_and_their_assets_are_shown() -> None:
    airflow = Airflow()
    airflow.uses = {"mine": ("report", "other"), "theirs": ("other",)}
    airflow.events = {"mine": 1.0, "theirs": 2.0}
    tables = Bench(airflow, include_dags="report").read().tables
    assert tables[dags.ASSET_LAST_EVENT] == {("mine",): 1.0}
    assert tables[dags.DAG_SCHEDULE_ASSET_INFO] == {("report", "mine"): 1}
    assert airflow.asked == ["report"]


def test_a_dag_that_is_gone_is_gone_here() -> None:
    airflow = Airflow()
    bench = Bench(airflow)
    bench.read()
    airflow.uses = {"orders": ()}
    assert bench.read().tables[dags.QUEUED_ASSET_EVENTS] == {}


# ---- what is asked ----------------------------------------------------------------------------------


def test_a_dag_is_asked_for_when_one_of_its_assets_was_updated_and_while_events_are_queued() -> None:
    airflow = Airflow()
    bench = Bench(airflow)
    bench.read()
    assert airflow.asked == ["report"]
    bench.read()
    assert airflow.asked == []
    airflow.events, airflow.queued = {"orders": 50.0}, {"report": [51.0]}
    for _ in range(3):
        bench.read()
        assert airflow.asked == ["report"]
    airflow.events, airflow.queued = {"orders": 50.0, "rates": 60.0}, {}
    assert bench.read().tables[dags.QUEUED_ASSET_EVENTS] == {("report",): 0}
    bench.read()
    assert airflow.asked == []


def test_a_read_asks_for_a_few_and_each_gets_its_turn() -> None:
    airflow = Airflow()
    airflow.uses = {"orders": tuple(f"dag{number}" for number in range(10))}
    airflow.queued = {f"dag{number}": [1.0] for number in range(10)}
    bench = Bench(airflow, interval=100.0)
    seen: list[str] = []
    for _ in range(10):
        bench.read()
        assert len(airflow.asked) == 3
        seen += airflow.asked
    assert {seen.count(f"dag{number}") for number in range(10)} == {3}


def test_of_a_release_without_last_events_the_newest_events_are_read_and_each_asset_is_asked_for_once() -> None:
    airflow = Airflow(knows_last_events=False)
    airflow.events = {"orders": 10.0, "rates": 90.0}
    airflow.page = [AssetEvent(asset_id=1, timestamp=90.0), AssetEvent(asset_id=99, timestamp=95.0)]
    bench = Bench(airflow, interval=600.0)
    assert bench.read().tables[dags.ASSET_LAST_EVENT] == {("orders",): 10.0, ("rates",): 90.0}
    assert airflow.asked == ["report", "orders", "unused"]
    bench.read()
    airflow.page.insert(0, AssetEvent(asset_id=0, timestamp=99.0))
    assert bench.read().tables[dags.ASSET_LAST_EVENT] == {("orders",): 99.0, ("rates",): 90.0}
    assert airflow.asked == ["report"]


def test_a_dag_that_airflow_answers_with_an_error_costs_the_others_nothing() -> None:
    airflow = Airflow()
    airflow.uses = {"orders": ("a", "bad", "c")}
    airflow.errors["bad"] = AnswerError("server_error", "queuedAssetEvents: HTTP 500", 500)
    reading = Bench(airflow, interval=600.0).read()
    assert reading.tables[dags.QUEUED_ASSET_EVENTS] == {("a",): 0, ("c",): 0}
    assert reading.unanswered == ["bad: queuedAssetEvents: HTTP 500"]


@pytest.mark.parametrize("reason", ["timeout", "bad_reply", "forbidden"])
def test_what_was_answered_before_an_error_is_kept_and_the_next_read_asks_others(reason: str) -> None:
    airflow = Airflow()
    airflow.uses = {"orders": ("a", "bad", "c")}
    airflow.errors["bad"] = ReaderError(reason, "no such reply")
    bench = Bench(airflow, interval=600.0)
    assert bench.read().tables[dags.QUEUED_ASSET_EVENTS] == {("a",): 0}
    airflow.now -= 7200.0
    assert bench.read().tables[dags.QUEUED_ASSET_EVENTS] == {("a",): 0, ("c",): 0}


def test_an_error_about_all_of_airflow_ends_the_read() -> None:
    airflow = Airflow()
    airflow.errors["report"] = ReaderError("forbidden", "its role needs “can read on Assets”")
    with pytest.raises(ReaderError):
        Bench(airflow).read()


def test_many_assets_are_read_less_often() -> None:
    airflow = Airflow()
    bench = Bench(airflow)
    airflow.uses = {f"asset{number}": () for number in range(MANY_ASSETS + 1)}
    bench.read()
    assert bench.reader.interval == 300.0
    airflow.uses = {"one": ()}
    bench.read()
    assert bench.reader.interval == 60.0


@pytest.mark.parametrize(
    ("release", "row", "is_watched"),
    [
        ("2.11.2", b'{"id": 1, "uri": "s3://a", "consuming_dags": [], "producing_tasks": []}', False),
        ("3.0.6", b'{"id": 1, "name": "a", "uri": "s3://a", "consuming_dags": [], "producing_tasks": []}', None),
        ("3.1.8", b'{"id": 1, "name": "a", "uri": "s3://a", "scheduled_dags": [], "producing_tasks": []}', None),
        ("3.2.2", b'{"id": 1, "name": "a", "uri": "s3://a", "scheduled_dags": [], "watchers": []}', False),
        ("3.3.2", b'{"id": 1, "name": "a", "scheduled_dags": [], "watchers": [{"name": "w", "trigger_id": 1}]}', True),
    ],
)
def test_watchers_are_unknown_where_the_release_does_not_send_them(
    release: str, row: bytes, is_watched: bool | None
) -> None:
    major = int(release[0])
    [found] = api.ASSET_LISTS[major].rows.decode(b'{"%s": [%s]}' % (b"assets" if major >= 3 else b"datasets", row)).rows
    assert found.is_watched is is_watched
