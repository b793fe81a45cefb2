"""A real Prometheus reads from protobuf what it reads from text, and native histograms within their error."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import pytest

from exporter.metrics.family import Family, HistogramForm, Kind
from exporter.metrics.reading import Change
from exporter.store.exposition import render
from exporter.store.ledger import Ledger
from exporter.store.store import Store
from exporter.web.negotiation import choose_format
from tests.e2e.exactness.prometheus import Prometheus, find_prometheus
from tests.e2e.exactness.subject import Series

WAIT = Family("airflow_wait_seconds", Kind.HISTOGRAM, "Wait", ("queue",), buckets=(0.5, 5.0, 60.0, 600.0))
LOOP = Family("airflow_loop_seconds", Kind.HISTOGRAM, "Loop", buckets=(0.1, 1.0))
TASK_WAIT = Family("airflow_task_wait_seconds", Kind.HISTOGRAM, "Wait by task", ("task_id",), native_only=True)
TRIES = Family("airflow_tries_total", Kind.COUNTER, "Tries", ("dag_id",))
SLOTS = Family("airflow_slots", Kind.GAUGE, "Slots", ("pool",))
FAMILIES = [WAIT, LOOP, TASK_WAIT, TRIES, SLOTS]
RANDOM = Random(11)
WAITS = {queue: [RANDOM.lognormvariate(3, 2) for _ in range(500)] for queue in ("gpu", 'a "b" \\ é\n')}
JOBS = {
    "text": "PrometheusText0.0.4",
    "classic": "PrometheusProto",
    "native": "PrometheusProto",
    "both": "PrometheusProto",
}


def fill(form: HistogramForm) -> Store:
    forms = {} if form is HistogramForm.CLASSIC else {WAIT: form, TASK_WAIT: form}
    ledger = Ledger([WAIT, LOOP, TASK_WAIT, TRIES], birth_hold=0.0, forms=forms)
    ledger.tables[TASK_WAIT].native_only = True
    store = Store(FAMILIES)
    for table in ledger.tables.values():
        store.attach(table)
    changes = [Change(WAIT, (queue,), value) for queue, values in WAITS.items() for value in values]
    changes += [Change(LOOP, (), value) for value in (0.05, 0.3, 7.0)]
    changes += [Change(TRIES, (dag,), number) for number, dag in enumerate(("etl", "ml"), 1)]
    if forms:
        changes += [Change(TASK_WAIT, ("load",), value) for value in WAITS["gpu"]]
    ledger.publish(ledger.stage(changes))
    for series in [series for table in ledger.tables.values() for series in table.series]:
        series.revealed = True
    store.publish({SLOTS: {("default",): math.inf, ("small",): 2.5}})
    return store


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    program = find_prometheus()
    if program is None:
        pytest.skip("a program is missing: prometheus")
    stores = {job: fill(HistogramForm.CLASSIC if job == "text" else HistogramForm(job)) for job in JOBS}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            form = choose_format(self.headers.get("Accept", ""))
            body = b"".join(render(stores[self.path.strip("/")], form))
            self.send_response(200)
            self.send_header("Content-Type", form.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the base class
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    configuration = {
        "scrape_configs": [
            {
                "job_name": job,
                "scrape_interval": "1s",
                "metrics_path": f"/{job}",
                "scrape_protocols": [protocol],
                "always_scrape_classic_histograms": job == "both",
                "static_configs": [{"targets": [f"127.0.0.1:{server.server_port}"]}],
            }
            for job, protocol in JOBS.items()
        ]
    }
    folder = tmp_path_factory.mktemp("prometheus")
    running = Prometheus(program, Path(folder), json.dumps(configuration), "--enable-feature=native-histograms")
    try:
        running.wait_ready(120)
        wait_scraped(running)
        yield running
    finally:
        running.close()
        server.shutdown()
        server.server_close()


def wait_scraped(running: Prometheus) -> None:
    end = time.monotonic() + 120
    while sum(running.query("count_over_time(up[10m]) and up == 1").values()) < 2 * len(JOBS):
        assert time.monotonic() < end, running.query("up")
        time.sleep(0.5)


def read(running: Prometheus, job: str, pattern: str = "airflow_.*") -> dict[Series, float]:
    return running.query(f'{{__name__=~"{pattern}", job="{job}"}}')


@pytest.mark.slow
@pytest.mark.parametrize("job", ["classic", "both"])
def test_every_sample_of_the_text_is_equal_in_protobuf(prometheus: Prometheus, job: str) -> None:
    text = read(prometheus, "text")
    found = {
        series: value
        for series, value in read(prometheus, job, "airflow_.*_(bucket|sum|count|total)|airflow_slots").items()
        if not series.name.startswith("airflow_task_wait")
    }
    assert len(text) == 2 * 7 + 5 + 2 + 2
    assert found == text


@pytest.mark.slow
@pytest.mark.parametrize("job", ["native", "both"])
@pytest.mark.parametrize("family", ["airflow_wait_seconds", "airflow_task_wait_seconds"])
def test_count_sum_and_quantiles_are_those_of_the_observations(prometheus: Prometheus, job: str, family: str) -> None:
    values = sorted(WAITS["gpu"])
    series = f'{family}{{job="{job}", queue=~"gpu|", task_id=~"load|"}}'
    assert list(prometheus.query(f"histogram_count({series})").values()) == [500]
    assert list(prometheus.query(f"histogram_sum({series})").values()) == pytest.approx([sum(values)])
    for share in (0.1, 0.5, 0.9, 0.99):
        exact = values[math.ceil(share * len(values)) - 1]
        (found,) = prometheus.query(f"histogram_quantile({share}, {series})").values()
        assert exact / 1.1 <= found <= exact * 1.1


@pytest.mark.slow
def test_native_histograms_have_no_other_series(prometheus: Prometheus) -> None:
    assert read(prometheus, "native", "airflow_wait_seconds_.*") == {}
    assert len(prometheus.query('count by (queue) (airflow_wait_seconds{job="native"})')) == 2
    assert read(prometheus, "native", "airflow_loop_seconds_.*") == read(prometheus, "text", "airflow_loop_seconds_.*")
