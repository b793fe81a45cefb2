"""StatsD in the running exporter: into the store, across a reload, and down to the last packet."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.config.settings import ReceptionSettings, Settings, StatsdSettings
from exporter.engine import Engine
from exporter.metrics.family import Family, Kind
from exporter.sources.statsd import source as statsd_source
from exporter.sources.statsd.model import ALL_DIALECTS, Action, Resolution, Signature, Target
from exporter.sources.statsd.receive.receiver import Receiver
from exporter.sources.statsd.source import StatsdSource
from exporter.store.exposition import Format, render

SETTINGS = Settings(
    collectors={"airflow": False, "statsd": True},
    reception=ReceptionSettings(listen_udp="127.0.0.1:0", listen_tcp=""),
)
JOBS = Family("jobs", Kind.COUNTER, "Jobs", ("name",), declared=False)


class Plain:
    """Counts everything by name."""

    revision = 0
    dialects = ALL_DIALECTS

    def restore_family(self, spec: object) -> None:
        """Nothing was saved."""

    def release(self, families: object) -> None:
        """No family is remembered."""

    def take_corrections(self) -> None:
        """No id is spelled otherwise here."""

    def find_similar(self, _key: object) -> None:
        """No line is like another."""

    def look_up(self, signature: Signature) -> Resolution:
        return Resolution("plain", (Target(JOBS, (signature.name,), Action.ADD),))


def expose(engine: Engine) -> str:
    engine.refresh()
    return b"".join(render(engine.store, Format.TEXT)).decode()


def test_a_reload_loses_neither_counts_nor_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statsd_source, "build_resolver", lambda *_: Plain())
    engine = Engine(SETTINGS)
    engine.start()
    source = engine.sources.get("statsd")
    assert isinstance(source, StatsdSource)
    until = time.monotonic() + 10
    while not engine.ready() and time.monotonic() < until:
        time.sleep(0.01)
    assert source.receiver is not None
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(source.receiver._sockets[0].getsockname())
        for number in range(600):
            sock.send(b"etl:1|c")
            time.sleep(0.0005)
            if number == 300:
                engine.replace(replace(SETTINGS, birth_hold=5))
    assert engine.stop(10)
    text = expose(engine)
    assert 'jobs{name="etl"} 600\n' in text
    assert 'airflow_exporter_statsd_packets_total{transport="udp"} 600\n' in text


def test_users_metrics_go_on_after_a_reload() -> None:
    engine = Engine(SETTINGS)
    try:
        source = engine.sources.get("statsd")
        assert isinstance(source, StatsdSource)
        for _ in range(2):
            source.aggregator.process_batch([b"airflow.rows,table=orders:2|g"], lambda _: b"one")
            engine.replace(replace(SETTINGS, birth_hold=5))
            source = engine.sources.get("statsd")
            assert isinstance(source, StatsdSource)
        source.aggregator.process_batch([b"airflow.rows,table=orders:7|g"], lambda _: b"one")
    finally:
        assert engine.stop(10)
    assert 'airflow_custom_rows{table="orders"} 7\n' in expose(engine)


def wait_for_receiver(engine: Engine) -> Receiver:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        source = engine.sources.get("statsd")
        if isinstance(source, StatsdSource) and source.receiver is not None and source.receiver.alive:
            return source.receiver
        time.sleep(0.01)
    raise AssertionError("StatsD is not received")


def wait_for_line(engine: Engine, line: str, again: Callable[[], object] = lambda: None) -> None:
    until = time.monotonic() + 10
    while f"{line}\n" not in expose(engine):
        assert time.monotonic() < until, expose(engine)
        again()
        time.sleep(0.05)


def test_a_mapping_file_may_use_the_names_of_families_that_nothing_feeds_also_after_a_reload(tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.yml"
    rule = "match: airflow.pool.open_slots.*, name: airflow_pool_open_slots, labels: {name: $1}"
    mapping.write_text(f"mappings: [{{{rule}}}]\n")
    mapped = replace(SETTINGS, statsd=StatsdSettings(mapping_config=mapping))
    told = replace(SETTINGS, statsd=StatsdSettings(release="3.3.2", mode="plain"))
    engine = Engine(told)
    engine.start()
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(wait_for_receiver(engine)._sockets[0].getsockname())
        for settings, line in (
            (told, 'airflow_pool_open_slots{pool="a",team=""} 5'),
            (mapped, 'airflow_pool_open_slots{name="a"} 5'),
            (told, 'airflow_pool_open_slots{pool="a",team=""} 5'),
        ):
            engine.replace(settings)
            # The receiving thread takes the change up within a quarter of a second.
            time.sleep(0.5)
            # Lines are held back until the stream has told whether it has tags.
            wait_for_line(engine, line, lambda: sock.send(b"airflow.pool.open_slots.a:5|g"))
            assert expose(engine).count("\nairflow_pool_open_slots{") == 1
    assert engine.stop(10)


def test_another_address_and_another_resolver_take_effect_together(tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.yml"
    mapping.write_text("mappings:\n- match: airflow.a\n  name: mine\n")
    engine = Engine(SETTINGS)
    engine.start()
    wait_for_receiver(engine)
    reception = replace(SETTINGS.reception, listen_udp="127.0.0.2:0")
    engine.replace(replace(SETTINGS, reception=reception, statsd=StatsdSettings(mapping_config=mapping)))
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(wait_for_receiver(engine)._sockets[0].getsockname())
        sock.send(b"airflow.a:2|c")
        wait_for_line(engine, "mine 2")
    assert engine.stop(10)


def test_other_sources_learn_how_long_files_take_to_parse() -> None:
    engine = Engine(replace(SETTINGS, statsd=StatsdSettings(mode="plain", release="2.11.2")))
    source = engine.sources.get("statsd")
    assert isinstance(source, StatsdSource)
    assert engine.directory.read_parse_durations() == {}
    source.aggregator.process_batch([b"airflow.dag_processing.last_duration.orders:34000|ms"], lambda _: b"one")
    assert engine.directory.read_parse_durations() == {("", "orders.py"): 34.0}
    assert engine.stop(10)
