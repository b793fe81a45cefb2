"""What `explain` says of lines."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

from exporter.cli import main
from exporter.commands.explain_text import DROPS, Parser, Summary, explain, read_capture
from exporter.metrics.family import Family, Kind
from exporter.sources.statsd import parser as lines
from exporter.sources.statsd.mapping import mapper as mapping
from exporter.sources.statsd.model import DROP_REASONS, Action, MetricType, Resolution, Sample, Signature, Target
from tests.unit.sources.statsd.fake_resolver import FakeResolver

STARTS = Family("airflow_task_starts_total", Kind.COUNTER, "Starts", labels=("dag_id",))
LOOP = Family("airflow_loop_duration_seconds", Kind.HISTOGRAM, "Loops", buckets=(1.0,))
SLOTS = Family("airflow_slots", Kind.GAUGE, "MsgBuffers")


class Parsed(NamedTuple):
    samples: list[Sample]
    rejected: list[str]


def parse(line: bytes) -> Parsed:
    match line.split(b":")[0]:
        case b"bad":
            return Parsed([], ["bad_value"])
        case b"loop":
            return Parsed([Sample(Signature("loop", MetricType.TIMER), 1500.0)], [])
        case b"slots":
            return Parsed([Sample(Signature("slots", MetricType.GAUGE), 3.0, relative=True)], [])
    return Parsed([Sample(Signature("start", MetricType.COUNTER, (("dag_id", "d"),), 0.5), 1.0)], [])


class ExampleResolver(FakeResolver):
    def look_up(self, signature: Signature) -> Resolution:
        match signature.name:
            case "loop":
                return Resolution("scheduler loop", [Target(LOOP, (), Action.OBSERVE, 0.001)], note="seconds by ms")
            case "slots":
                return Resolution("slots", [Target(SLOTS, (), Action.SET)])
        if signature.rate == 1.0:
            return Resolution("start", drop="twin")
        return Resolution("start", [Target(STARTS, ("d",), Action.ADD)], ambiguous=True)


PARSER = Parser(lambda datagram: datagram.split(b"\n"), lambda line, dialects: parse(line))


def tell(datagram: bytes) -> list[str]:
    return list(explain(datagram, PARSER, ExampleResolver()))


def test_a_counter_is_shown_from_the_wire_to_its_series() -> None:
    assert tell(b"start:1|c|@0.5|#dag_id:d") == [
        "start:1|c|@0.5|#dag_id:d",
        "  sent      start (counter, dag_id=d, sampled at 0.5) = 1",
        "  matches   start",
        "  note      the name can be split into ids in several ways; this is the most likely one",
        '  becomes   airflow_task_starts_total{dag_id="d"} (counter) adds 1, counted 2 times',
    ]


def test_a_unit_is_shown_before_and_after() -> None:
    assert tell(b"loop:1500|ms")[1:] == [
        "  sent      loop (timer, no tags) = 1500 ms",
        "  matches   scheduler loop",
        "  note      seconds by ms",
        "  becomes   airflow_loop_duration_seconds{} (histogram) observes 1.5 seconds",
    ]


def test_a_relative_gauge_moves_its_series() -> None:
    assert tell(b"slots:+3|g")[1:] == [
        "  sent      slots (gauge, no tags) = +3",
        "  matches   slots",
        "  becomes   airflow_slots{} (gauge) changes by 3",
    ]


def test_each_line_of_a_datagram_is_explained_and_one_that_is_rejected_says_why() -> None:
    assert tell(b"bad:x|c\nslots:+3|g")[:3] == ["bad:x|c", "  rejected  bad_value", "slots:+3|g"]


def test_a_refused_value_takes_no_name_and_says_so() -> None:
    mapper = mapping.parse_mapping("")
    parser = Parser(lines.split_lines, lines.parse_line)
    texts = [text for line in (b"jobs:-1|c", b"jobs:5|g") for text in explain(line, parser, mapper)]
    assert texts[2].startswith("  rejected  bad_value")
    assert texts[-1].startswith("  becomes   jobs")
    summary = Summary(parser, mapping.parse_mapping(""))
    for line in (b"jobs:-1|c", b"jobs:5|g"):
        summary.take(line)
    assert [line.split()[1:3] for line in summary.lines()][:2] == [["fed", "jobs"], ["rejected", "bad_value"]]


def test_a_summary_counts_families_drops_and_rejections_with_examples() -> None:
    summary = Summary(PARSER, ExampleResolver())
    for datagram in (b"start:1|c", b"start:1|c", b"bad:x|c", b"bad:y|c", b"loop:1|ms"):
        summary.take(datagram)
    assert list(summary.lines()) == [
        "        2  fed       airflow_task_starts_total",
        "        1  fed       airflow_loop_duration_seconds",
        "        2  rejected  bad_value",
        "                     bad:x|c",
    ]


def test_a_capture_holds_datagrams_as_json_or_as_they_are() -> None:
    capture = [b'{"t": 1.5, "payload": "a:1|c\\nb:2|g"}\n', b"c:3|c\r\n", b"\n", b"{no json\n"]
    assert list(read_capture(capture)) == [b"a:1|c\nb:2|g", b"c:3|c", b"{no json"]


def run(*arguments: str, given: bytes = b"") -> list[str]:
    result = CliRunner().invoke(main, ["explain", "--no-collector.airflow", *arguments], input=given)
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_the_command_tells_of_lines_given_and_of_lines_read() -> None:
    line = "airflow.ti.finish.d.t.success:1|c"
    told = run(line)
    assert told == run(given=line.encode())
    tries = 'airflow_task_tries_total{dag_id="d", task_id="t"} (counter) adds 1'
    assert f"  becomes   {tries}" in told


def test_the_command_says_that_the_api_feeds_a_family_where_it_does() -> None:
    result = CliRunner().invoke(main, ["explain", "airflow.ti.finish.d.t.success:1|c"])
    (dropped,) = [line for line in result.output.splitlines() if line.startswith("  dropped   fed_by_api: ")]
    assert "--no-collector.airflow" in dropped


def test_each_reason_for_a_drop_is_explained() -> None:
    assert list(DROPS) == list(DROP_REASONS)


def test_the_command_sums_up_a_capture_and_what_arrives(tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    capture.write_bytes(b"airflow.scheduler_heartbeat:1|c\nairflow.scheduler_heartbeat:1|c\nbad\n")
    told = run(f"--capture={capture}")
    assert told[0].split() == ["2", "fed", "airflow_scheduler_heartbeats_total"]
    assert told[1].split()[:2] == ["1", "rejected"]
    assert run("--listen=0.05", "--statsd.listen-udp=127.0.0.1:0") == []


def test_the_command_says_where_it_cannot_listen_or_read() -> None:
    for arguments, problem in (
        (["--listen=1", "--statsd.listen-udp="], "--listen needs a listen address"),
        (["--capture=/nowhere"], "/nowhere: No such file or directory"),
    ):
        result = CliRunner().invoke(main, ["explain", *arguments])
        assert result.exit_code == 1
        assert problem in result.output


def test_the_command_takes_a_mapping_file_and_says_what_is_wrong_with_one(tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.yml"
    mapping.write_text("mappings:\n- match: airflow.*\n  name: mine\n  labels: {what: $1}\n")
    assert '  becomes   mine{what="a"} (counter) adds 1' in run(f"--statsd.mapping-config={mapping}", "airflow.a:1|c")
    mapping.write_text("mappings:\n- match: airflow.*\n")
    result = CliRunner().invoke(main, ["explain", f"--statsd.mapping-config={mapping}", "a:1|c"])
    assert result.exit_code == 1
    assert "--statsd.mapping-config: mappings[0]" in result.output
