"""Coverage-guided fuzzing of names: whatever is sent, in any circumstances, families and labels are sound.

Names are made of the words that Airflow's consist of, and of anything else. What becomes of them is exposed, too: no
line may come twice, and each has the shape of a sample.
"""

from __future__ import annotations

import math
import re
import sys

import atheris

with atheris.instrument_imports(include=["exporter.sources.statsd", "exporter.store.live_tables"]):
    from exporter.config.settings import StatsdSettings
    from exporter.metrics.catalogue.families import FAMILIES
    from exporter.sources.directory import Directory
    from exporter.sources.statsd.aggregator import Aggregator
    from exporter.sources.statsd.airflow_names.events.table import EVENTS
    from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
    from exporter.sources.statsd.model import DROP_REASONS, REJECT_REASONS
    from exporter.store.exposition import Format, render
    from exporter.store.live_tables import Events
    from exporter.store.store import Store

WORDS = sorted({word for event in EVENTS for name in (event.name, *event.legacy) for word in (name, *name.split("."))})
TAGS = sorted({variable for event in EVENTS for variable in event.variables} | {"le", "quantile", "job", "instance"})
IDS = ["a", "a.b", "a__b", "a.b.c", "failed", "dag_id", "é", "None"]
VALUES = ["1", "-1", "+2", "0.5", "inf", "1e300", "1:2"]
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_]\w*=\"([^\"\\\n]|\\.)*\",?)*\})? (\S+)\Z")
MOST_REVISIONS = 2 * len(EVENTS) + 10
"""How often at most it may change its mind, beside what every learned id adds."""


def check(data: bytes) -> None:
    given = atheris.FuzzedDataProvider(data)
    directory = Directory()
    if given.ConsumeBool():
        directory.tell_dags(["a.b", "a", "dag_id"])
    names = AirflowNameResolver(directory, choose_settings(given))
    store = Store(FAMILIES)
    aggregator = Aggregator(Events(store), names)
    lines = [make_line(given) for _ in range(given.ConsumeIntInRange(1, 12))]
    aggregator.process_batch([line.encode(errors="replace") for line in lines], lambda place: bytes([place]))
    assert set(aggregator.dropped) <= set(DROP_REASONS)
    assert set(aggregator.rejected) <= set(REJECT_REASONS)
    assert names.revision <= MOST_REVISIONS + len(lines)
    check_exposition(b"".join(render(store, Format.TEXT, truth=True)).decode())


def choose_settings(given: atheris.FuzzedDataProvider) -> StatsdSettings:
    return StatsdSettings(
        prefix=given.PickValueInList(["airflow", "", "my.airflow"]),
        release=given.PickValueInList(["", "2.10.5", "2.11.2", "3.0.6", "3.3.2"]),
        mode=given.PickValueInList(["", "plain", "influxdb", "datadog"]),
        timer_unit_consistency=given.PickValueInList([None, True, False]),
        task_labels=given.ConsumeBool(),
    )


def make_line(given: atheris.FuzzedDataProvider) -> str:
    name = ".".join(make_word(given, WORDS + IDS) for _ in range(given.ConsumeIntInRange(1, 5)))
    listed = [(make_word(given, TAGS), make_word(given, IDS)) for _ in range(given.ConsumeIntInRange(0, 5))]
    said = f"{given.PickValueInList(VALUES)}|{given.PickValueInList(['c', 'g', 'ms', 'h', 'd'])}"
    prefix = given.PickValueInList(["airflow.", "", "my.airflow."])
    if given.ConsumeBool():
        return f"{prefix}{name}:{said}|#{','.join(f'{tag}:{value}' for tag, value in listed)}"
    return f"{prefix}{name}{''.join(f',{tag}={value}' for tag, value in listed)}:{said}"


def make_word(given: atheris.FuzzedDataProvider, words: list[str]) -> str:
    if given.ConsumeIntInRange(0, 4):
        return str(given.PickValueInList(words))
    return str(given.ConsumeUnicodeNoSurrogates(given.ConsumeIntInRange(0, 12)))


def check_exposition(text: str) -> None:
    samples = [line for line in text.split("\n")[:-1] if not line.startswith("#")]
    for line in samples:
        found = SAMPLE.match(line)
        assert found, line
        assert not math.isnan(float(found[5])), line
    series = [line.rpartition(" ")[0] for line in samples]
    assert len(set(series)) == len(series), series


if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
