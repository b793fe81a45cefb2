"""The HTML page `/diagnosis`: what waits in Airflow now, why, and which setting changes it. Pure."""

from __future__ import annotations

from exporter.diagnosis.findings import Finding
from exporter.diagnosis.reasons import Patience
from exporter.diagnosis.report import Diagnosis
from exporter.web.html import Markup, join, tag
from exporter.web.pages import format_timestamp, render_page, render_table

STATE_CLASSES = {Patience.NEVER: "bad", Patience.BUSY: "wait", Patience.NORMAL: "dim"}
HEADINGS = {
    Patience.NEVER: "Waiting does not help",
    Patience.BUSY: "Waits for a limit",
    Patience.NORMAL: "Normal work, unless it lasts",
}
COLUMNS = ("Reason", "What waits", "Evidence", "What to change")


def render_diagnosis_page(diagnosis: Diagnosis | None) -> str:
    """The whole page; None where nothing was diagnosed yet."""
    if diagnosis is None:
        text = "No diagnosis yet: it needs the Airflow collector, and a first reading of the task instances."
        return render_page("Diagnosis", tag("p", text, class_="wait"))
    when = f"Airflow at {format_timestamp(diagnosis.time)}. Reload the page to update it."
    sections = [render_section(diagnosis, patience) for patience in Patience]
    if not diagnosis.findings:
        sections = [tag("p", "Nothing waits.", class_="good")]
    return render_page("Diagnosis", tag("p", when, class_="dim"), *sections)


def render_no_failed_try(dag_id: str, task_id: str) -> str:
    """The page `/failed` where no failed try is known."""
    subject = join("task ", tag("strong", task_id), " of ") if task_id else Markup()
    return render_page(
        "No failed try",
        tag("p", "No failed try of ", subject, "DAG ", tag("strong", dag_id), " is known."),
        tag(
            "p",
            "The exporter remembers the last failed try of each task that ended since it first read this Airflow: "
            "with a state file also those of before a restart.",
            class_="dim",
        ),
    )


def render_section(diagnosis: Diagnosis, patience: Patience) -> Markup:
    """The findings of one patience; nothing where there are none."""
    rows = [render_row(one, diagnosis.time) for one in diagnosis.findings if one.reason.patience is patience]
    return join(tag("h2", HEADINGS[patience]), render_table(COLUMNS, rows)) if rows else Markup()


def render_row(finding: Finding, now: float) -> list[str]:
    """The cells of a finding."""
    reason = finding.reason
    return [
        tag("span", reason.name, class_=STATE_CLASSES[reason.patience], title=reason.meaning),
        join(tag("strong", finding.title), tag("br"), reason.meaning),
        join(*[join(line, tag("br")) for line in finding.list_evidence(now)]),
        finding.suggestion or "nothing",
    ]
