"""What the pictures show: an Airflow with busy DAGs and Celery workers, the exporter with all sources, and Prometheus.

    unshare --pid --fork --mount-proc python -m grafana.pictures.stage [--workdir DIR]

With `unshare` (as root) the exporter sees no processes but these. Runs until Ctrl-C and prints the addresses that
`take.mjs` needs. The Airflow is that of `make demo`, with the CeleryExecutor and PostgreSQL, and with the DAGs beside
this file. Needs PostgreSQL, Redis and Prometheus.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from demo.airflow import DAGS, Airflow
from demo.postgres import find_programs
from demo.preparation import DEMO_POOLS, Pool
from demo.progress import say
from demo.settings import HOST
from demo.statsd import send_statsd
from demo.workdir import free_port

HERE = Path(__file__).resolve().parent
RULES = HERE.parents[1] / "prometheus"
VERSION = "3.3.2"
POOLS = {**DEMO_POOLS, "bigquery": Pool(2, "deferred queries hold a slot", include_deferred=True)}
SETTINGS = {"AIRFLOW__CORE__PARALLELISM": "8", "AIRFLOW__CELERY__WORKER_CONCURRENCY": "6"}
PROMETHEUS = """\
global: {{scrape_interval: 15s, evaluation_interval: 15s}}
rule_files: ["{files}/rules/*.yml", "{files}/alerts/*.yml"]
scrape_configs:
  - job_name: airflow
    static_configs: [{{targets: ["{target}"], labels: {{airflow: demo}}}}]
"""


def gather_dags(folder: Path) -> Path:
    """The DAGs of the demo and those beside this file, in one folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in (*DAGS.glob("*.py"), *(HERE / "dags").glob("*.py")):
        shutil.copy(file, folder)
    return folder


def make_secret(file: Path, text: str) -> Path:
    """A file that only its owner reads."""
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
    return file


def list_flags(airflow: Airflow, folder: Path, statsd: int) -> list[str]:
    """The exporter's flags: every source, read often."""
    database = make_secret(folder / "database-url", airflow.database_url)
    broker = make_secret(folder / "broker-url", f"redis://{HOST}:{airflow.folder.state.broker_port}/0")
    return [
        f"--airflow.url={airflow.url}",
        "--airflow.username=admin",
        f"--airflow.password-file={airflow.password_file}",
        "--airflow.interval=10s",
        f"--statsd.listen-udp={HOST}:{statsd}",
        "--statsd.listen-tcp=",
        f"--database.url-file={database}",
        f"--celery.broker-url-file={broker}",
        f"--state.file={folder / 'exporter.db'}",
    ]


def count_statements(airflow: Airflow) -> None:
    """Let PostgreSQL load pg_stat_statements, which needs a restart."""
    airflow.up("api-server")
    psql = [str(find_programs() / "psql"), airflow.database_url.replace("+psycopg2", ""), "--quiet", "--command"]
    subprocess.run([*psql, "alter system set shared_preload_libraries = 'pg_stat_statements'"], check=True)
    airflow.down()
    airflow.up()
    subprocess.run([*psql, "create extension if not exists pg_stat_statements"], check=True)


def start(stack: ExitStack, command: list[str], log: Path) -> None:
    """Start a program that is ended with the stack."""
    with log.open("ab") as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    stack.callback(child.wait, 30)
    stack.callback(child.terminate)


def run(folder: Path) -> None:
    """Start everything, and stop it when a signal comes."""
    folder.mkdir(parents=True, exist_ok=True)
    dags = gather_dags(folder / "dags")
    airflow = Airflow(
        VERSION, folder / "airflow", executor="CeleryExecutor", dags=dags, pools=POOLS, settings=SETTINGS, report=say
    )
    statsd = send_statsd(airflow)
    exporter, prometheus = f"{HOST}:{free_port()}", f"{HOST}:{free_port()}"
    config = folder / "prometheus.yml"
    config.write_text(PROMETHEUS.format(files=RULES, target=exporter), encoding="utf-8")
    with ExitStack() as stack:
        stack.callback(airflow.down)
        count_statements(airflow)
        flags = [*list_flags(airflow, folder, statsd), f"--web.listen-address={exporter}"]
        start(stack, [sys.executable, "-m", "exporter", "serve", *flags], folder / "exporter.log")
        storage = [f"--storage.tsdb.path={folder / 'prometheus'}", f"--web.listen-address={prometheus}"]
        start(stack, ["prometheus", f"--config.file={config}", *storage], folder / "prometheus.log")
        say(f"Airflow {airflow.url}  exporter http://{exporter}  Prometheus http://{prometheus}")
        signal.pause()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m grafana.pictures.stage", description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, default=Path(".demo/pictures"), help="everything lies there")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(parser.parse_args().workdir.resolve())
    except KeyboardInterrupt:
        say("Stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
