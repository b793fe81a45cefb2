"""The command `explain`: shows what becomes of lines, of a capture, or of what arrives for some seconds."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from exporter.commands.explain_text import Parser, Summary, explain, read_capture
from exporter.config.settings import AirflowSettings, Settings
from exporter.metrics.reading import ReaderError
from exporter.sources.directory import Directory
from exporter.sources.statsd import parser
from exporter.sources.statsd.beside import find_names
from exporter.sources.statsd.model import Resolver
from exporter.sources.statsd.source import build_resolver

PARSER = Parser(parser.split_lines, parser.parse_line)
DATAGRAM = 65_535


class InputError(Exception):
    """What is to be explained cannot be read. The message says why."""


def fill_directory(directory: Directory, settings: AirflowSettings) -> None:
    """Read from the API what the resolver needs: the release, `[metrics]` and the DAGs. Raises ReaderError."""
    # Without the API its client is not imported.
    from exporter.sources.airflow.api.detect import connect  # noqa: PLC0415
    from exporter.sources.airflow.api.objects.config import read_config  # noqa: PLC0415
    from exporter.sources.airflow.api.objects.dags import read_dags  # noqa: PLC0415
    from exporter.sources.airflow.http.client import Client  # noqa: PLC0415

    client = Client(settings)
    try:
        airflow = connect(settings, client=client).airflow
        directory.set_version(airflow.version)
        config = read_config(airflow) or {}
        directory.set_metrics_config({key: config[section, key] for section, key in config if section == "metrics"})
        dags = read_dags(airflow)
        directory.set_dags(dag.dag_id for dag in dags)
        directory.set_files("dags", ((dag.bundle, dag.file) for dag in dags))
    finally:
        client.close()


def prepare(settings: Settings, *, ask_api: bool) -> tuple[Resolver, str]:
    """The resolver of a server with these settings, and why the API could not be read (empty if it was)."""
    directory = Directory()
    problem = ""
    if ask_api:
        try:
            fill_directory(directory, settings.airflow)
        except ReaderError as error:
            problem = f"Airflow's API could not be read, so ids and release are guessed: {error}"
    return build_resolver(settings, directory), problem


def explain_input(
    settings: Settings, resolver: Resolver, lines: Iterable[str], capture: str | None, seconds: float | None
) -> Iterator[str]:
    """Yield the explanation of a capture, of what arrives for some seconds, of lines, or else of standard input.

    Raises InputError. Errors of the caller's output, such as a closed pipe, are not errors of the input.
    """
    where, advice = capture or "standard input", ""
    try:
        if capture:
            yield from explain_capture(Path(capture), resolver)
        elif seconds:
            where, advice = settings.reception.listen_udp, "; if it is in use, set another --statsd.listen-udp"
            yield from explain_many(listen(where, seconds), resolver)
        else:
            # An argument that is not UTF-8 is explained as the bytes that were given.
            yield from explain_lines(list(map(os.fsencode, lines)) or sys.stdin.buffer.read().splitlines(), resolver)
    except OSError as error:
        raise InputError(f"{where}: {error.strerror}{advice}") from error


def explain_lines(texts: Iterable[bytes], resolver: Resolver) -> Iterator[str]:
    """Yield the explanation of each line. All lines are read first, because together they show the dialect."""
    datagrams = list(texts)
    summarize(datagrams, resolver)
    if names := find_names(resolver):
        names.assume_defaults()
    for datagram in datagrams:
        yield from explain(datagram, PARSER, resolver)


def summarize(datagrams: Iterable[bytes], resolver: Resolver) -> Summary:
    """What becomes of many lines, in groups."""
    summary = Summary(PARSER, resolver)
    for datagram in datagrams:
        summary.take(datagram)
    return summary


def explain_capture(path: Path, resolver: Resolver) -> Iterator[str]:
    """Yield a summary of a file with lines or recorded datagrams. Raises OSError."""
    datagrams = list(read_capture(path.read_bytes().splitlines()))
    yield from explain_many(datagrams, resolver)


def explain_many(datagrams: list[bytes], resolver: Resolver) -> Iterator[str]:
    """Yield a summary of all lines, made after all of them were read."""
    summarize(datagrams, resolver)
    names = find_names(resolver)
    if names:
        names.assume_defaults()
    yield from summarize(datagrams, resolver).lines()
    if names:
        yield from (f"note: {remark}" for remark in names.remarks)


def listen(address: str, seconds: float) -> list[bytes]:
    """Every datagram that arrives at a UDP address within `seconds`. Raises OSError."""
    host, _, port = address.rpartition(":")
    found: list[bytes] = []
    place = socket.getaddrinfo(host.strip("[]") or None, int(port), type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(place[0], socket.SOCK_DGRAM) as receiver:
        receiver.bind(place[4])
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            receiver.settimeout(left)
            try:
                found.append(receiver.recv(DATAGRAM))
            except TimeoutError:
                break
    return found
