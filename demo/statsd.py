"""Where the demo's Airflow sends its StatsD metrics."""

from __future__ import annotations

import socket

from demo.airflow import Airflow
from demo.settings import of_statsd
from demo.workdir import free_port


def send_statsd(airflow: Airflow) -> int:
    """Make this Airflow send StatsD once it starts, and return the UDP port of loopback that it sends to.

    The port stays while a part of this Airflow runs, because parts read their settings when they start.
    """
    state = airflow.folder.state
    running = any(airflow.processes.pid(name) for name in airflow.processes.names())
    if not state.statsd_port or not running:
        state.statsd_port = free_port(state.statsd_port, socket.SOCK_DGRAM)
        airflow.folder.save()
    airflow.settings |= of_statsd(airflow.version, state.statsd_port)
    return state.statsd_port
