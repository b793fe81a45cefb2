"""StatsD's counters, histograms and summaries across restarts, with a state file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.config.settings import ReceptionSettings, Settings, StatsdSettings
from exporter.engine import Engine
from exporter.sources.statsd.source import StatsdSource
from exporter.store.exposition import Format, render
from exporter.store.persistence import live_saver
from exporter.store.persistence.state_store import StateError

SETTINGS = Settings(
    collectors={"airflow": False, "statsd": True},
    reception=ReceptionSettings(listen_udp="127.0.0.1:0", listen_tcp=""),
    statsd=StatsdSettings(release="3.3.2", mode="influxdb"),
    birth_hold=0.0,
)
RECORDS = b"airflow.records_processed,dag_id=etl,task_id=load:%d|c"
RECORDS_LINE = 'airflow_custom_records_processed_total{dag_id="etl",task_id="load"}'


class Process:
    """An exporter whose lines are handed to it directly."""

    def __init__(self, settings: Settings) -> None:
        self.engine = Engine(settings)
        source = self.engine.sources.get("statsd")
        assert isinstance(source, StatsdSource)
        self.source = source

    def send(self, *lines: bytes) -> None:
        self.source.aggregator.process_batch(lines, lambda _: b"one")

    def save(self) -> None:
        assert self.source.saver is not None
        self.source.saver.read()

    def scrape(self) -> str:
        """Twice: what is born at zero shows its value once the zero was seen and that was written."""
        text = ""
        for _ in range(2):
            self.engine.refresh()
            text = b"".join(render(self.engine.store, Format.TEXT)).decode()
            self.save()
        return text

    def value(self, series: str) -> str:
        """What a scrape says now, without a write before it."""
        text = b"".join(render(self.engine.store, Format.TEXT)).decode()
        return next((line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(series + " ")), "absent")


@contextmanager
def run(settings: Settings, *, crash: bool = False) -> Iterator[Process]:
    """An exporter from start to end; `crash` ends it without writing the rest."""
    process = Process(settings)
    try:
        yield process
    finally:
        if not crash:
            process.source.close()
        process.engine._state.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(SETTINGS, state_file=tmp_path / "state.db")


def test_a_counter_goes_on_after_a_restart(settings: Settings) -> None:
    with run(settings) as process:
        process.send(RECORDS % 750)
        process.scrape()
        process.save()
        assert process.value(RECORDS_LINE) == "750"
    with run(settings) as process:
        assert process.value(RECORDS_LINE) == "750"
        process.send(RECORDS % 1)
        process.save()
        assert process.value(RECORDS_LINE) == "751"


def test_without_a_state_file_nothing_is_kept_and_values_are_exposed_at_once(settings: Settings) -> None:
    with run(replace(settings, state_file=None)) as process:
        assert process.source.saver is None
        process.send(b"airflow.rows:2|c")
        assert process.value("airflow_custom_rows_total") == "2"


def test_what_came_after_the_last_write_is_written_at_the_end(settings: Settings) -> None:
    with run(settings) as process:
        process.send(b"airflow.rows:2|c")
        process.save()
        process.send(b"airflow.rows:3|c")
    with run(settings) as process:
        assert process.value("airflow_custom_rows_total") == "5"


def test_a_crash_loses_what_was_not_written_and_never_goes_below_what_was_scraped(settings: Settings) -> None:
    with run(settings, crash=True) as process:
        process.send(b"airflow.rows:2|c", RECORDS % 5)
        process.scrape()
        process.send(b"airflow.rows:3|c", RECORDS % 5)
        scraped = process.value("airflow_custom_rows_total"), process.value(RECORDS_LINE)
    assert scraped == ("2", "5")
    with run(settings) as process:
        assert (process.value("airflow_custom_rows_total"), process.value(RECORDS_LINE)) == scraped


def test_histograms_of_ours_and_of_users_go_on_bucket_by_bucket(settings: Settings) -> None:
    lines = (b"airflow.task.duration,dag_id=etl,task_id=load:2500|ms", b"airflow.fetch:2500|ms")
    with run(settings) as process:
        process.send(*lines, *lines)
        before = process.scrape()
        before = process.scrape()
    with run(settings) as process:
        process.save()
        kept = b"".join(render(process.engine.store, Format.TEXT)).decode()
        ours = [line for line in before.splitlines() if "duration_seconds_" in line or "fetch_seconds_" in line]
        assert len(ours) > 20
        assert set(ours) <= set(kept.splitlines())
        process.send(b"airflow.fetch:0|ms")
        process.save()
        assert process.value("airflow_custom_fetch_seconds_count") == "3"
        assert process.value('airflow_custom_fetch_seconds_bucket{le="0.005"}') == "1"


def test_a_series_that_was_never_shown_is_born_at_zero_after_the_restart(settings: Settings) -> None:
    with run(settings) as process:
        process.send(RECORDS % 7)
    with run(settings) as process:
        assert process.value(RECORDS_LINE) == "0"
        process.scrape()
        assert process.value(RECORDS_LINE) == "7"
    with run(settings) as process:
        assert process.value(RECORDS_LINE) == "7"


def test_gauges_are_not_kept(settings: Settings) -> None:
    with run(settings) as process:
        process.send(b"airflow.level:2|g")
        process.save()
    with run(settings) as process:
        assert process.value("airflow_custom_level") == "absent"


MAPPING = """
mappings:
- match: jobs.*.done
  name: jobs_done
  labels: {job: $1}
- match: jobs.*.lasted
  name: jobs_lasted
  observer_type: histogram
  histogram_options: {buckets: [1, 10]}
  labels: {job: $1}
- match: jobs.*.took
  name: jobs_took
  observer_type: summary
  labels: {job: $1}
- match: jobs.*.brief
  name: jobs_brief
  ttl: 60s
"""
LINES = (b"jobs.a.done:3|c", b"jobs.a.lasted:2000|ms", b"jobs.a.took:2000|ms", b"jobs.a.brief:1|c")


@pytest.fixture
def mapped(settings: Settings, tmp_path: Path) -> Settings:
    path = tmp_path / "mapping.yml"
    path.write_text(MAPPING)
    return replace(settings, statsd=StatsdSettings(mapping_config=path))


def change_mapping(settings: Settings, old: str, new: str) -> None:
    path = settings.statsd.mapping_config
    assert path is not None
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_mapped_families_go_on_with_kind_labels_and_buckets(mapped: Settings) -> None:
    with run(mapped) as process:
        process.send(*LINES)
        before = process.scrape()
    with run(mapped) as process:
        after = b"".join(render(process.engine.store, Format.TEXT)).decode()
        ours = [
            line
            for line in before.splitlines()
            if "jobs_" in line and "quantile" not in line and "exporter" not in line
        ]
        assert {'jobs_done{job="a"} 3', 'jobs_lasted_bucket{job="a",le="10.0"} 1', 'jobs_took_sum{job="a"} 2.0'} <= set(
            ours
        )
        assert set(ours) <= set(after.splitlines())
        process.send(*LINES)
        process.save()
        assert process.value('jobs_done{job="a"}') == "6"
        assert process.value('jobs_took_count{job="a"}') == "2"
        assert process.value('jobs_lasted_bucket{job="a",le="+Inf"}') == "2"


def test_under_another_mapping_a_series_goes_on_once_it_is_sent_and_others_are_not_shown(mapped: Settings) -> None:
    with run(mapped) as process:
        process.send(*LINES)
        process.save()
    change_mapping(mapped, "name: jobs_done", "name: jobs_finished")
    with run(mapped) as process:
        assert process.value('jobs_done{job="a"}') == "absent"
        assert process.value('jobs_lasted_count{job="a"}') == "absent"
        process.send(*LINES)
        process.save()
        assert process.value('jobs_finished{job="a"}') == "3"
        assert process.value('jobs_lasted_count{job="a"}') == "2"
        assert process.value('jobs_done{job="a"}') == "absent"


def test_other_buckets_or_another_kind_discard_that_family_only(mapped: Settings) -> None:
    with run(mapped) as process:
        process.send(*LINES)
        process.save()
    change_mapping(mapped, "[1, 10]", "[1, 20]")
    change_mapping(mapped, "observer_type: summary", "observer_type: histogram")
    with run(mapped) as process:
        process.send(*LINES)
        process.save()
        assert process.value('jobs_done{job="a"}') == "6"
        assert process.value('jobs_lasted_count{job="a"}') == "1"
        assert process.value('jobs_took_count{job="a"}') == "1"
    with run(mapped) as process:
        assert process.value('jobs_lasted_bucket{job="a",le="20.0"}') == "1"
        assert process.value('jobs_took_count{job="a"}') == "1"


def test_after_a_reload_and_a_restart_the_new_mapping_decides_what_families_are(mapped: Settings) -> None:
    with run(mapped) as process:
        process.send(*LINES)
        process.save()
        for old, new in (("[1, 10]", "[1, 20]"), ("observer_type: summary", "observer_type: histogram"), ("60s", "1h")):
            change_mapping(mapped, old, new)
        change_mapping(mapped, "name: jobs_done", "name: jobs_done\n  help: Jobs that were done")
        process.engine.replace(replace(mapped))
        process.send(*LINES)
        process.scrape()
        assert process.value('jobs_lasted_bucket{job="a",le="10.0"}') == "2"
    for count in ("1", "2"):
        with run(mapped) as process:
            process.send(*LINES)
            text = process.scrape()
            assert process.value('jobs_lasted_bucket{job="a",le="20.0"}') == count
            assert process.value('jobs_took_bucket{job="a",le="+Inf"}') == count
            assert "# HELP jobs_done Jobs that were done" in text
    assert process.value('jobs_done{job="a"}') == "12"


def test_what_expired_is_removed_from_the_file(mapped: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with run(mapped) as process:
        process.send(*LINES)
        process.save()
        clock = process.engine._tables.clock
        monkeypatch.setattr(process.engine._tables, "clock", lambda: clock() + 100.0)
        process.source.aggregator.sweep()
        process.save()
        assert process.value("jobs_brief") == "absent"
    assert len(rows(mapped)) == 3
    with run(mapped) as process:
        assert process.value("jobs_brief") == "absent"
        assert process.value('jobs_done{job="a"}') == "3"


def test_what_expired_while_the_exporter_was_away_does_not_come_back(
    mapped: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run(mapped) as process:
        process.send(*LINES)
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 61.0)
    with run(mapped) as process:
        assert process.value("jobs_brief") == "absent"
        assert process.value('jobs_done{job="a"}') == "3"
    monkeypatch.setattr(time, "time", lambda: wall() + live_saver.MAX_SILENCE + 61.0)
    with run(mapped) as process:
        assert process.value('jobs_done{job="a"}') == "absent"
    assert not rows(mapped)


def rows(settings: Settings) -> list[tuple[object, ...]]:
    assert settings.state_file is not None
    with closing(sqlite3.connect(settings.state_file)) as db:
        return list(db.execute("SELECT id, cells FROM live_value JOIN live_series USING (id)"))


def test_caps_hold_when_the_file_has_more(settings: Settings) -> None:
    family = "airflow_custom_records_processed_total"
    with run(settings) as process:
        for number in range(20):
            process.send(b"airflow.records_processed,dag_id=etl,task_id=t%d:1|c" % number)
        process.scrape()
    with run(replace(settings, caps={family: 5})) as process:
        assert len([line for line in process.scrape().splitlines() if line.startswith(family + "{")]) == 5
    assert len(rows(settings)) == 5


def test_a_reload_keeps_counts_and_the_file_goes_on_with_them(settings: Settings) -> None:
    with run(settings) as process:
        process.send(b"airflow.rows:2|c")
        process.engine.replace(replace(settings, birth_hold=5.0))
        process.send(b"airflow.rows:2|c")
        process.save()
        assert process.value("airflow_custom_rows_total") == "4"
    with run(settings) as process:
        assert process.value("airflow_custom_rows_total") == "4"


def test_a_mapping_file_added_beside_or_removed_by_a_reload_leaves_the_other_counts_alone(
    settings: Settings, mapped: Settings
) -> None:
    path = mapped.statsd.mapping_config
    beside = replace(settings, statsd=replace(settings.statsd, mapping_config=path, mapping_mode="beside"))
    heartbeat = "airflow_scheduler_heartbeats_total"
    with run(settings) as process:
        for count, (after, shown) in enumerate(((beside, "1"), (settings, "absent"), (beside, "1")), start=2):
            process.send(b"airflow.scheduler_heartbeat:1|c", b"airflow.rows:1|c")
            process.engine.replace(after)
            process.send(b"airflow.scheduler_heartbeat:0|c", b"airflow.rows:0|c", b"jobs.a.done:1|c")
            process.scrape()
            assert process.value(heartbeat) == str(count - 1)
            assert process.value("airflow_custom_rows_total") == str(count - 1)
            assert process.value('jobs_done{job="a"}') == shown


def test_while_nothing_can_be_written_counters_go_on_and_are_written_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run(settings) as process:
        process.send(b"airflow.rows:2|c")
        state = process.engine._state
        with monkeypatch.context() as patch:

            def fail(*_: object) -> None:
                raise StateError("no room")

            patch.setattr(state, "write_live", fail)
            with pytest.raises(StateError):
                process.save()
            assert process.value("airflow_custom_rows_total") == "2"
        process.save()
    with run(settings) as process:
        assert process.value("airflow_custom_rows_total") == "2"


def test_what_could_not_be_written_is_written_later_though_nothing_more_is_sent(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run(settings, crash=True) as process:
        process.send(b"airflow.rows:2|c")
        process.scrape()
        process.save()

        def fail(*_: object) -> None:
            raise StateError("no room")

        process.send(b"airflow.rows:3|c")
        with monkeypatch.context() as patched:
            patched.setattr(process.engine._state, "write_live", fail)
            with pytest.raises(StateError):
                process.save()
        process.save()
        assert process.value("airflow_custom_rows_total") == "5"
    with run(settings) as process:
        assert process.value("airflow_custom_rows_total") == "5"


def test_a_row_that_cannot_be_decoded_is_lost_alone(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with run(settings) as process:
        process.send(b"airflow.rows:2|c", b"airflow.fetch:1000|ms", b"airflow.steps:1|c")
        process.save()
    assert settings.state_file is not None
    with closing(sqlite3.connect(settings.state_file)) as db, db:
        db.execute("UPDATE live_value SET cells = X'C1' WHERE typeof(cells) = 'blob'")
        db.execute("UPDATE live_value SET cells = 9e999 WHERE cells = 1")
    with run(settings) as process:
        assert process.value("airflow_custom_rows_total") == "2"
        assert process.value("airflow_custom_steps_total") == "absent"
        assert process.engine._state.lost_rows == 2
        assert "2 series of StatsD could not be decoded" in caplog.text
        process.engine.refresh()
        assert process.value("airflow_exporter_state_lost_rows_total") == "2"
    caplog.clear()
    with run(settings) as process:
        assert process.engine._state.lost_rows == 0


def test_a_file_of_the_release_before_goes_on(settings: Settings) -> None:
    with run(settings) as process:
        process.engine._state.commit([], {"cursor": {b"a": b"b"}})
    assert settings.state_file is not None
    with closing(sqlite3.connect(settings.state_file)) as db, db:
        for table in ("live_family", "live_series", "live_value"):
            db.execute(f"DROP TABLE {table}")
    with run(settings) as process:
        assert process.engine._state.recall_all("cursor") == {b"a": b"b"}
        process.send(b"airflow.rows:2|c")
    with run(settings) as process:
        assert process.value("airflow_custom_rows_total") == "2"
