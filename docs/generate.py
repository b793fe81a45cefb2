"""Generate the tables of metrics, options and alerts in docs/ from their declarations; `--check` only compares.

Run as `python -m docs.generate`. Only the text between a pair of markers is replaced.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from click.testing import CliRunner

from docs import outdated
from docs.matrix import write_events, write_matrix
from docs.reason_pages import PAGES
from docs.rulesheet import write_alerts, write_thresholds
from docs.support import write_support
from docs.unfed_panels import write_unfed_panels
from exporter.cli import main as command
from exporter.commands.metrics import format_markdown
from exporter.config.option import VARIABLE_PREFIX, Option
from exporter.config.options import OPTIONS
from exporter.diagnosis.error_classes import CLASSES
from exporter.diagnosis.reasons import REASONS
from exporter.metrics.catalogue.api import tasks
from exporter.metrics.catalogue.families import FAMILIES
from exporter.sources.airflow.counting import decision
from exporter.sources.airflow.counting.changes import OUTCOME_COUNTERS

FOLDER = Path(__file__).parent
EXAMPLE = FOLDER.parent / "examples" / "exporter.yml"
BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
WIDTH = 100
OUTCOME_MEANINGS: Mapping[decision.TryOutcome, str] = {
    decision.TryOutcome.SUCCESS: "it succeeded",
    decision.TryOutcome.FAILED: "it failed for good",
    decision.TryOutcome.RETRIED: "it failed, and Airflow tries the task again",
    decision.TryOutcome.CLEARED: "it was cleared or deleted while it ran; it did not fail",
    decision.TryOutcome.SKIPPED: "the task skipped itself, or a sensor failed softly; it did not fail",
}


def write_metrics() -> str:
    return format_markdown(FAMILIES)


def write_histograms() -> str:
    lines = ["| histogram | upper bounds, then +Inf |", "| --- | --- |"]
    lines += [
        f"| `{family.name}` | {', '.join(f'{bound:g}' for bound in family.buckets)} |"
        for family in FAMILIES
        if family.buckets
    ]
    return "\n".join(lines)


def write_options() -> str:
    lines = ["| flag | variable | in the file | default | meaning |", "| --- | --- | --- | --- | --- |"]
    lines += ["| " + " | ".join(write_cells(option)) + " |" for option in OPTIONS]
    return "\n".join(lines)


def write_cells(option: Option) -> Iterator[str]:
    """The cells of an option's row; variables are written without their common prefix."""
    yield " ".join(mark(flag) for flag in (option.flag, option.negative_flag) if flag)
    yield mark(option.variable.removeprefix(VARIABLE_PREFIX))
    yield mark(option.key + (f".{option.names.noun.upper()}" if option.names else "")) if option.by_file else ""
    yield mark(option.format(option.default))
    yield f"{option.help} ({mark(option.value_type.metavar)})".replace("|", "\\|").replace("<", "&lt;")


def mark(text: str) -> str:
    return f"`{text}`" if text else ""


def write_example() -> str:
    return f"```yaml\n{EXAMPLE.read_text(encoding='utf-8')}```"


def write_commands() -> str:
    """The help text of every command."""
    names: list[list[str]] = [[], *([name] for name in sorted(command.commands))]
    return "\n".join(write_help(arguments) for arguments in names)


def write_help(arguments: list[str]) -> str:
    result = CliRunner().invoke(command, [*arguments, "--help"], prog_name="airflow-exporter", terminal_width=WIDTH)
    return "\n".join((f"### {' '.join(['airflow-exporter', *arguments])}", "", "```text", result.output + "```", ""))


def write_decisions() -> str:
    """The decision table of exact counting, as the module that holds it shows it."""
    text = decision.__doc__ or ""
    return "\n".join(line for line in text.splitlines() if line.startswith("|"))


def write_outcomes() -> str:
    """What each outcome of a try adds to, beside its waits."""
    every = (tasks.TRIES, tasks.RUN_SECONDS)
    lines = ["| outcome | adds to |", "| --- | --- |"]
    for outcome, families in OUTCOME_COUNTERS.items():
        durations = (tasks.DURATION,) if outcome is decision.TryOutcome.SUCCESS else ()
        names = ", ".join(mark(family.name) for family in (*every, *families, *durations))
        lines.append(f"| {outcome}: {OUTCOME_MEANINGS[outcome]} | {names} |")
    return "\n".join(lines)


def write_reasons() -> str:
    """The reasons of the diagnosis, in the order of the checks."""
    lines = ["| reason | patience | meaning | setting |", "| --- | --- | --- | --- |"]
    lines += [f"| `{one.name}` | {one.patience.name.lower()} | {one.meaning} | {one.setting} |" for one in REASONS]
    return "\n".join(lines)


def write_classes() -> str:
    """The classes of failed tries."""
    lines = ["| class | meaning | settings to look at | what to do |", "| --- | --- | --- | --- |"]
    lines += [f"| `{one.name}` | {one.meaning} | {one.setting} | {one.suggestion} |" for one in CLASSES]
    return "\n".join(lines)


BLOCKS: Mapping[str, Callable[[], str]] = {
    "metrics": write_metrics,
    "matrix": write_matrix,
    "unfed": write_unfed_panels,
    "events": write_events,
    "histograms": write_histograms,
    "decisions": write_decisions,
    "reasons": write_reasons,
    "classes": write_classes,
    "outcomes": write_outcomes,
    "alerts": write_alerts,
    "thresholds": write_thresholds,
    "support": write_support,
    "options": write_options,
    "example": write_example,
    "commands": write_commands,
}


def update(page: str) -> str:
    """The page with every block generated again. Raises KeyError for a block with an unknown name."""
    return BLOCK.sub(lambda match: f"{match[1]}\n{BLOCKS[match['name']]().strip()}\n\n{match[3]}", page)


def list_outdated() -> Iterator[tuple[Path, str | None]]:
    """Yield each page that is out of date, with its new text."""
    wanted = {path: update(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.md"))}
    wanted |= {FOLDER / name: write() for name, write in PAGES.items() if (FOLDER / name).parent.is_dir()}
    return outdated.list_outdated(wanted, ())


def main(arguments: list[str]) -> int:
    """Write what is out of date, or with `--check` name it."""
    return outdated.update(list_outdated(), arguments, "python -m docs.generate", FOLDER.parent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
