"""DAG files that take long to parse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from exporter.diagnosis.report import CostFinding
from exporter.diagnosis.words import format_seconds

MIN_PARSE_SECONDS = 20.0
"""From here on a file is slow: Airflow gives up importing it after 30 s (dagbag_import_timeout). The alert's value."""
MIN_FILES = 3
"""Files that are needed to say that most of them are slow."""
MAX_NAMED_DAGS = 3
FileKey = tuple[str, str]
"""Bundle (empty on Airflow 2) and path."""


class ParsedDag(Protocol):
    """A DAG with its file."""

    @property
    def is_stale(self) -> bool: ...
    @property
    def bundle(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def last_parse_duration(self) -> float | None: ...


class ParsedFile(NamedTuple):
    """A DAG file."""

    file: str
    seconds: float
    """What its last parse took."""
    dags: tuple[str, ...] = ()
    """The DAGs that it is known to define."""


def list_files(dags: Mapping[str, ParsedDag], measured: Mapping[FileKey, float]) -> Iterator[ParsedFile]:
    """The files whose parse durations are known: by StatsD (`measured`) if it has any, else by their DAGs."""
    by_file: defaultdict[FileKey, list[str]] = defaultdict(list)
    durations: dict[FileKey, float] = {}
    for dag_id, dag in dags.items():
        if dag.is_stale:
            continue
        key = (dag.bundle, dag.file)
        by_file[key].append(dag_id)
        if dag.last_parse_duration is not None:
            durations[key] = max(durations.get(key, 0.0), dag.last_parse_duration)
    by_ending: Mapping[str, list[str]] = index_by_ending(by_file) if measured.keys() - by_file.keys() else {}
    for (bundle, file), seconds in (measured or durations).items():
        yield ParsedFile(file, seconds, tuple(by_file.get((bundle, file)) or by_ending.get(file, [])))


def index_by_ending(by_file: Mapping[FileKey, list[str]]) -> dict[str, list[str]]:
    """The DAGs of each path and of its endings at a folder: StatsD may have another part of the path, or no bundle.

    An index, as a search in all files for each measured one took a quarter of a minute for 10,000 files.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    for (_, path), dags in by_file.items():
        parts = path.split("/")
        for start in range(len(parts)):
            found["/".join(parts[start:])].extend(dags)
    return found


def find_slow_files(files: Iterable[ParsedFile]) -> list[CostFinding]:
    """A finding for each file that takes long to parse, the slowest first."""
    known = sorted(files, key=lambda one: -one.seconds)
    middle = known[len(known) // 2].seconds if len(known) >= MIN_FILES else 0.0
    return [make_finding(one, middle) for one in known if one.seconds >= MIN_PARSE_SECONDS]


def make_finding(one: ParsedFile, middle: float) -> CostFinding:
    """What to do about one file. `middle` is what the file in the middle takes, 0 where there are too few."""
    are_all_slow = 2 * middle >= MIN_PARSE_SECONDS
    first = (
        "Most files are slow: look first at the CPU of the DAG processor's machine, its parsing_processes, and at what "
        f"they all import. Else move network calls, queries and heavy imports at the top level of {one.file}"
        if are_all_slow
        else f"Move network calls, queries and heavy imports at the top level of {one.file}"
    )
    more = len(one.dags) - MAX_NAMED_DAGS
    named = ", ".join(sorted(one.dags)[:MAX_NAMED_DAGS]) + (f" and {more} more" if more > 0 else "")
    return CostFinding(
        "file_slow",
        one.file,
        "The DAG file takes long to parse, which happens again and again.",
        [
            f"its last parse took {format_seconds(one.seconds)}",
            *([f"half of all files take {format_seconds(middle)} or more"] if are_all_slow else []),
            *([f"DAGs of it: {named}"] if named else []),
        ],
        f"{first} into its tasks. Until then keep "
        f"dagbag_import_timeout above {format_seconds(one.seconds)}, and dag_file_processor_timeout above that: beyond "
        "them the file counts as broken.",
        one.seconds,
    )
