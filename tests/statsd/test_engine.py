"""StatsD in the running exporter: into the store, across a reload, and down to the last packet."""

from __future__ import annotations

import socket
import time
from dataclasses import replace

import pytest

from exporter import engine as module
from exporter.engine import Engine
from exporter.exposition import Format, render
from exporter.family import Family, Kind
from exporter.settings import ReceptionSettings, Settings
from exporter.sources.statsd import resolvers
from exporter.sources.statsd.event import ALL, Action, Resolution, Signature, Target

SETTINGS = Settings(
    collectors={"airflow": False, "statsd": True},
    reception=ReceptionSettings(listen_udp="127.0.0.1:0", listen_tcp=""),
)
JOBS = Family("jobs", Kind.COUNTER, "Jobs", ("name",), declared=False)


class Plain:
    """Counts everything by name."""

    revision = 0
    dialects = ALL

    def resolve(self, signature: Signature) -> Resolution:
        return Resolution("plain", (Target(JOBS, (signature.name,), Action.ADD),))


def expose(engine: Engine) -> str:
    engine.refresh()
    return b"".join(render(engine.store, Format.TEXT)).decode()


def test_a_reload_loses_neither_counts_nor_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolvers, "make_resolver", lambda *_: Plain())
    engine = Engine(SETTINGS)
    engine.start()
    source = module.find_statsd(unit.source for unit in engine._units)
    assert source is not None
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
        source = module.find_statsd(unit.source for unit in engine._units)
        assert source is not None
        for _ in range(2):
            source.absorber.absorb([b"airflow.rows,table=orders:2|g"], lambda _: b"one")
            engine.replace(replace(SETTINGS, birth_hold=5))
            source = module.find_statsd(unit.source for unit in engine._units)
            assert source is not None
        source.absorber.absorb([b"airflow.rows,table=orders:7|g"], lambda _: b"one")
    finally:
        assert engine.stop(10)
    assert 'airflow_custom_rows{table="orders"} 7\n' in expose(engine)
