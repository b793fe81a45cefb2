"""From settings to a store that is read: caps, buckets, counters that outlive a restart and a reload."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from exporter.config.settings import AirflowSettings, Settings, WebSettings
from exporter.engine import STATELESS, Engine
from exporter.metrics.catalogue import exporter
from exporter.metrics.catalogue.api import dags, tasks
from exporter.metrics.family import Family
from exporter.metrics.reading import Change, Reader, ReaderError, Reading
from exporter.store.exposition import Format, render
from exporter.store.persistence.state_store import StateError

LABELS = ("etl", "load")


class FakeReader:
    """Counts one try of 5 seconds each time, and tells of two DAGs."""

    name = "tasks"
    help = "A stand-in"
    interval = 3600.0
    families: Sequence[Family] = (dags.DAG_PAUSED,)

    def read(self) -> Reading:
        changes = [Change(tasks.TRIES, LABELS), Change(tasks.DURATION, LABELS[:1], 5.0)]
        return Reading(tables={dags.DAG_PAUSED: {("etl",): 0, ("report",): 1}}, changes=changes)


class FakeSource:
    """A connection that always is there, or never."""

    name = "airflow"
    vital = ""
    refused = False
    clock_skew: float | None = 2.5

    def __init__(self, *, reachable: bool = True) -> None:
        self.readers: Sequence[Reader] = (FakeReader(),)
        self.closed = False
        self._reachable = reachable

    def connect(self) -> None:
        if not self._reachable:
            raise ReaderError("unreachable", "nobody is there")

    def begin(self, deadline: float) -> None:
        """Take all the time there is."""

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSource]:
    """What every engine reads instead of an Airflow."""
    source = FakeSource()
    monkeypatch.setattr(Engine, "_build_sources", lambda *_: [source])
    yield source
    assert source.closed


def show(engine: Engine) -> list[str]:
    return b"".join(render(engine.store, Format.TEXT, reveal_all=True)).decode().splitlines()


def count_tries(engine: Engine) -> float:
    line = next(line for line in show(engine) if line.startswith(f"{tasks.TRIES.name}{{"))
    return float(line.split()[-1])


def test_what_is_read_once_is_in_the_store() -> None:
    engine = Engine(Settings())
    engine.read_once()
    lines = show(engine)
    assert 'airflow_dag_paused{dag_id="report"} 1' in lines
    assert count_tries(engine) == 1
    assert engine.stop(1)


def test_the_exporters_own_families_tell_of_the_source() -> None:
    engine = Engine(Settings())
    engine.read_once()
    engine.refresh()
    lines = show(engine)
    assert 'airflow_exporter_source_up{source="airflow"} 1' in lines
    assert 'airflow_exporter_clock_skew_seconds{source="airflow"} 2.5' in lines
    assert f"{exporter.STATE_PERSISTENT.name} 0" in lines
    assert engine.stop(1)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (Settings(), ["http://localhost:10112"]),
        (Settings(web=WebSettings(listen_addresses=("[::]:9000", ":9001"))), ["http://localhost:9000"]),
        (Settings(web=WebSettings(external_url="https://exporter.example.org/x")), ["https://exporter.example.org/x"]),
        (Settings(collectors={"statsd": True}), []),
    ],
)
def test_where_people_find_the_exporter_is_told_where_it_knows_of_failures(settings: Settings, told: list[str]) -> None:
    engine = Engine(settings)
    engine.refresh()
    assert [line for line in show(engine) if line.startswith("airflow_exporter_ui_info")] == [
        f'airflow_exporter_ui_info{{url="{url}"}} 1' for url in told
    ]
    engine.read_once()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (Settings(), ["http://localhost:8080"]),
        (
            Settings(airflow=AirflowSettings(public_url="https://airflow.example.org/a")),
            ["https://airflow.example.org/a"],
        ),
        (Settings(collectors={"statsd": True}), []),
    ],
)
def test_where_people_find_airflow_is_told_whether_it_answers_or_not(settings: Settings, told: list[str]) -> None:
    engine = Engine(settings)
    engine.refresh()
    assert [line for line in show(engine) if line.startswith("airflow_ui_info")] == [
        f'airflow_ui_info{{url="{url}"}} 1' for url in told
    ]
    engine.read_once()
    assert engine.stop(1)


def test_it_is_ready_once_each_source_was_tried(monkeypatch: pytest.MonkeyPatch, source: FakeSource) -> None:
    monkeypatch.setattr(source, "_reachable", False)
    engine = Engine(Settings())
    assert not engine.ready()
    engine.read_once()
    assert engine.ready()
    assert not engine.status()[0].up
    assert engine.stop(1)


def test_closed_sets_exist_from_the_start(source: FakeSource) -> None:
    engine = Engine(Settings())
    source.close()
    assert 'airflow_task_wait_unobservable_total{wait="queued",reason="unknown"} 0' in show(engine)
    assert engine.stop(1)


def test_caps_and_buckets_are_those_of_the_settings() -> None:
    name = tasks.DURATION.name
    engine = Engine(Settings(caps={dags.DAG_PAUSED.name: 1}, buckets={name: (1.0, 10.0)}))
    engine.read_once()
    lines = show(engine)
    assert [line for line in lines if line.startswith(dags.DAG_PAUSED.name)] == ['airflow_dag_paused{dag_id="etl"} 0']
    assert [line.split()[-1] for line in lines if line.startswith(f"{name}_bucket")] == ["0", "1", "1"]
    assert engine.stop(1)


def test_counters_outlive_a_restart_with_a_state_file(tmp_path: Path) -> None:
    settings = Settings(state_file=tmp_path / "state")
    for total in (1, 2):
        engine = Engine(settings)
        engine.read_once()
        assert count_tries(engine) == total
        assert engine.stop(1)


def test_a_histogram_with_other_buckets_starts_anew_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(Settings(state_file=tmp_path / "state"))
    engine.read_once()
    assert engine.stop(1)
    changed = Engine(Settings(state_file=tmp_path / "state", buckets={tasks.DURATION.name: (1.0,)}))
    assert not [line for line in show(changed) if line.startswith(tasks.DURATION.name)]
    assert changed.stop(1)
    assert "1 saved series do not fit their family any more" in caplog.text


@pytest.mark.parametrize("persistent", [True, False])
def test_counters_go_on_through_a_reload(tmp_path: Path, caplog: pytest.LogCaptureFixture, *, persistent: bool) -> None:
    caplog.set_level(logging.CRITICAL)
    engine = Engine(Settings(state_file=tmp_path / "state" if persistent else None))
    engine.read_once()
    engine.replace(Settings(birth_hold=1.0))
    assert engine.stop(10)
    assert count_tries(engine) in (1, 2)


def test_a_reload_frees_the_old_sources_though_they_were_frozen_for_the_garbage_collector(
    monkeypatch: pytest.MonkeyPatch, source: FakeSource
) -> None:
    old = FakeSource()
    old.itself = old  # type: ignore[attr-defined] # objects of a source refer to each other
    left = weakref.ref(old)
    upcoming = [old, source]
    del old
    monkeypatch.setattr(Engine, "_build_sources", lambda *_: [upcoming.pop(0)])
    engine = Engine(Settings())
    gc.freeze()
    try:
        engine.replace(Settings(birth_hold=1.0))
        assert left() is None
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
    assert engine.stop(10)


@pytest.mark.parametrize(("name", "persists"), [("airflow", True), *((name, False) for name in sorted(STATELESS))])
def test_only_what_is_in_the_state_file_depends_on_it(source: FakeSource, name: str, *, persists: bool) -> None:
    source.name = name
    engine = Engine(Settings())
    (one,) = engine._running
    assert one.supervisor._policy.persists is persists
    source.close()
    assert engine.stop(1)


def test_two_exporters_cannot_use_one_state_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.store.persistence.connection.LOCK_TIMEOUT", 0.05)
    settings = Settings(state_file=tmp_path / "state")
    engine = Engine(settings)
    with pytest.raises(StateError):
        Engine(settings)
    engine.read_once()
    assert engine.stop(1)


class Hanging:
    """A supervisor whose read does not end; the time is simulated."""

    def __init__(self, now: list[float]) -> None:
        self.now = now
        self.told_at: float | None = None

    def stop(self, timeout: float) -> bool:
        self.told_at = self.now[0] if self.told_at is None else self.told_at
        self.now[0] += timeout
        return False


def make_hanging(monkeypatch: pytest.MonkeyPatch, engine: Engine, *names: str) -> tuple[list[float], list[Hanging]]:
    now = [0.0]
    monkeypatch.setattr("exporter.engine.time", SimpleNamespace(monotonic=lambda: now[0]))
    hanging = [Hanging(now) for _ in names]
    running = [
        SimpleNamespace(source=SimpleNamespace(name=name), supervisor=one)
        for name, one in zip(names, hanging, strict=True)
    ]
    monkeypatch.setattr(engine, "_running", running)
    return now, hanging


def test_sources_that_hang_are_waited_for_together(monkeypatch: pytest.MonkeyPatch, source: FakeSource) -> None:
    engine = Engine(Settings())
    source.close()
    now, hanging = make_hanging(monkeypatch, engine, "airflow", "database", "statsd")
    assert not engine.stop(8)
    assert [one.told_at for one in hanging] == [0.0, 0.0, 0.0]
    assert now == [8.0]


def test_statsd_receives_while_the_last_scrapes_end(monkeypatch: pytest.MonkeyPatch, source: FakeSource) -> None:
    engine = Engine(Settings())
    source.close()
    _, (airflow, statsd) = make_hanging(monkeypatch, engine, "airflow", "statsd")
    engine.begin_stop()
    assert (airflow.told_at, statsd.told_at) == (0.0, None)
