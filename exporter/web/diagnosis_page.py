"""The HTML page `/diagnosis`: what waits in Airflow now, what fails and what costs, each with evidence. Pure.

It has no scripts. Its tables become blocks on a narrow screen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode

from exporter.diagnosis.reasons import Patience
from exporter.diagnosis.report import CostFinding, Diagnosis, FailedTry, FailureFinding, HostSizing
from exporter.web.html import Markup, join, tag
from exporter.web.pages import format_duration, format_timestamp, render_page, render_stacked_table

if TYPE_CHECKING:
    from exporter.diagnosis.findings import Finding

STATE_CLASSES = {Patience.NEVER: "bad", Patience.BUSY: "wait", Patience.NORMAL: "dim"}
HEADINGS = {
    Patience.NEVER: "Waiting does not help",
    Patience.BUSY: "Limits in use, and what is slow or stuck",
    Patience.NORMAL: "Normal work, unless it lasts",
}
WAITING_COLUMNS = ("Reason", "What waits", "Evidence", "What to change")
FAILING_COLUMNS = ("Error class", "Failed tries in the last hour", "Evidence", "What to change")
TRY_COLUMNS = ("Ended", "Task", "Error class", "Afterwards", "Log")
COST_COLUMNS = ("Cost", "Where", "Evidence", "What to change")
SIZING_COLUMNS = ("Machine", "What a slot costs", "Room for more tasks", "Evidence", "Not known")
MAX_TRIES = 10
"""Failed tries that are listed."""
MAX_LINKED = 3
"""DAGs that are named for each finding."""


class PageLinks(NamedTuple):
    """Where the links of the page lead."""

    grafana: str = ""
    """URL of Grafana, without a slash at its end; empty for no links to dashboards."""
    runbooks: Collection[str] = ()
    """Names of the runbooks that there are."""

    def dag(self, dag_id: str) -> Markup:
        """A DAG, with a link to its dashboard."""
        if not self.grafana:
            return join(dag_id)
        return tag("a", dag_id, href=f"{self.grafana}/d/airflow-dag?{urlencode({'var-dag_id': dag_id})}")

    def explain(self, runbook: str, name: str) -> Markup:
        """A reason or an error class, with a link to its part of a runbook if there is one."""
        if runbook not in self.runbooks:
            return join(name)
        return tag("a", name, href=f"runbooks/{runbook}.md#{quote(name)}")


def render_diagnosis_page(
    diagnosis: Diagnosis | None, links: PageLinks, dag_id: str = "", sizing: Sequence[HostSizing] = ()
) -> str:
    """The whole page; None where nothing was diagnosed yet. `dag_id` says that only this DAG is shown."""
    if diagnosis is None:
        text = "No diagnosis yet: it needs the Airflow collector, and a first reading of the task instances."
        return render_page("Diagnosis", tag("p", text, class_="wait"), render_sizing(sizing))
    when = f"Airflow at {format_timestamp(diagnosis.time)}. Reload the page to update it."
    return render_page(
        "Diagnosis",
        tag("p", when, class_="dim"),
        render_selection(dag_id) if dag_id else render_summary(diagnosis, sizing),
        render_waiting(diagnosis, links),
        render_failing(diagnosis, links),
        render_costs(diagnosis),
        Markup() if dag_id else render_sizing(sizing),
    )


def render_selection(dag_id: str) -> Markup:
    """Which DAG is shown, and the way back to all."""
    return tag("p", "Only DAG ", tag("strong", dag_id), ". ", tag("a", "Show all DAGs", href="diagnosis"))


def render_summary(diagnosis: Diagnosis, sizing: Sequence[HostSizing]) -> Markup:
    """The parts in one line, as links to them."""
    waiting = sum(one.count for one in diagnosis.findings if one.patience is not Patience.NORMAL)
    failed = sum(one.tries + one.runs for one in diagnosis.failures)
    counts = (
        ("waiting", f"{waiting} waiting beyond normal work"),
        ("failing", f"{failed} failed in the last hour"),
        ("costs", f"{len(diagnosis.costs)} costly"),
        *([("sizing", "room for more tasks")] if sizing else []),
    )
    return tag("ul", *[tag("li", tag("a", text, href=f"#{part}")) for part, text in counts], class_="summary")


def render_waiting(diagnosis: Diagnosis, links: PageLinks) -> Markup:
    """What waits, by how patient one has to be."""
    sections = [render_patience(diagnosis, patience, links) for patience in Patience]
    nothing = Markup() if diagnosis.findings else tag("p", "Nothing waits.", class_="good")
    return join(tag("h2", "Waiting now", id="waiting"), *sections, nothing)


def render_patience(diagnosis: Diagnosis, patience: Patience, links: PageLinks) -> Markup:
    """The findings of one patience; nothing where there are none. Normal work is folded."""
    rows = [render_finding(one, diagnosis.time, links) for one in diagnosis.findings if one.patience is patience]
    if not rows:
        return Markup()
    heading = HEADINGS[patience]
    table = render_stacked_table(f"Waiting now: {heading}", WAITING_COLUMNS, rows)
    if patience is Patience.NORMAL:
        return tag("details", tag("summary", f"{heading} ({len(rows)})"), table)
    return join(tag("h3", heading), table)


def render_finding(finding: Finding, now: float, links: PageLinks) -> list[str]:
    """The cells of something that waits."""
    reason = finding.reason
    return [
        tag("span", links.explain("Reasons", reason.name), class_=STATE_CLASSES[finding.patience]),
        join(tag("strong", finding.title), tag("br"), reason.meaning),
        render_lines([*finding.list_evidence(now), render_dashboards(finding.dags, links)]),
        finding.suggestion or "nothing",
    ]


def render_failing(diagnosis: Diagnosis, links: PageLinks) -> Markup:
    """What fails, by class, and the last failed tries."""
    classes = [render_failure(one, links) for one in diagnosis.failures]
    tries = [render_try(one, diagnosis.time, links) for one in diagnosis.failed_tries[:MAX_TRIES]]
    heading = tag("h2", "Failing now", id="failing")
    if not classes and not tries:
        return join(heading, tag("p", "No try failed in the last hour.", class_="good"))
    return join(
        heading,
        render_stacked_table("Failing now, by error class", FAILING_COLUMNS, classes) if classes else Markup(),
        tag("h3", "The last failed tries") if tries else Markup(),
        render_stacked_table("The last failed tries", TRY_COLUMNS, tries) if tries else Markup(),
    )


def render_failure(finding: FailureFinding, links: PageLinks) -> list[str]:
    """The cells of a class of failures."""
    newest = join("The last one: ", render_log_link(finding.newest)) if finding.newest else Markup()
    return [
        tag("span", links.explain("ErrorClasses", finding.error_class), class_="bad"),
        join(tag("strong", finding.amount), tag("br"), finding.meaning, render_dags(finding.dags, links)),
        render_lines([*finding.evidence, newest]),
        finding.suggestion or "nothing",
    ]


def render_try(one: FailedTry, now: float, links: PageLinks) -> list[str]:
    """The cells of a failed try."""
    mapped = f" [{one.map_index}]" if one.map_index >= 0 else ""
    age = f"{format_duration(max(0.0, now - one.ended_at))} ago"
    return [
        tag("span", age, title=format_timestamp(one.ended_at), class_="nowrap"),
        join(links.dag(one.dag_id), " ", tag("strong", f"{one.task_id}{mapped}"), f", try {one.try_number}"),
        tag("span", one.error_class, class_="bad"),
        "Airflow tries again" if one.retried else "failed for good",
        render_log_link(one),
    ]


def render_log_link(one: FailedTry) -> Markup:
    """A link to the log of a try in Airflow."""
    if not one.log_url:
        return join("no link: the URL of Airflow is not known")
    return tag("a", f"Log of {one.task_id}", href=one.log_url)


def render_costs(diagnosis: Diagnosis) -> Markup:
    """What costs more than it needs to."""
    heading = tag("h2", "Costs", id="costs")
    if not diagnosis.costs:
        return join(heading, tag("p", "Nothing was found that costs more than it needs to.", class_="good"))
    rows = [render_cost(one) for one in diagnosis.costs]
    return join(heading, render_stacked_table("Costs", COST_COLUMNS, rows))


def render_cost(cost: CostFinding) -> list[str]:
    """The cells of a cost."""
    return [
        tag("span", cost.name, class_="wait"),
        join(tag("strong", cost.object), tag("br"), cost.meaning),
        render_lines(cost.evidence),
        cost.suggestion or "nothing",
    ]


def render_sizing(sizing: Sequence[HostSizing]) -> Markup:
    """What a slot costs on each machine, and how many more it has room for."""
    if not sizing:
        return Markup()
    rows = [
        [one.host, *[join(*separate_lines(lines)) for lines in (one.list_costs(), one.list_room())], *render_notes(one)]
        for one in sizing
    ]
    return join(tag("h2", "Sizing", id="sizing"), render_stacked_table("Sizing", SIZING_COLUMNS, rows))


def render_notes(one: HostSizing) -> list[str]:
    """What is behind the numbers, and what is not known."""
    return [render_lines(one.evidence), render_lines(one.unknown)]


def separate_lines(lines: Sequence[str]) -> list[str]:
    """Lines with breaks between them."""
    return [part for line in lines for part in (tag("br"), line)][1:]


def render_dags(dags: Mapping[str, int], links: PageLinks) -> Markup:
    """The DAGs with most of something; nothing where none is known."""
    top = sorted(dags.items(), key=lambda item: -item[1])[:MAX_LINKED]
    if not top:
        return Markup()
    listed = [join(", " if index else "", links.dag(dag), f" ({count})") for index, (dag, count) in enumerate(top)]
    return join(tag("br"), "DAGs: ", *listed)


def render_dashboards(dags: Mapping[str, int], links: PageLinks) -> Markup:
    """Links to the dashboards of the DAGs with most of something; nothing where Grafana is not known."""
    top = sorted(dags, key=lambda dag: -dags[dag])[:MAX_LINKED]
    if not links.grafana or not top:
        return Markup()
    return join("Dashboards: ", *[join(", " if index else "", links.dag(dag)) for index, dag in enumerate(top)])


def render_lines(lines: Collection[str]) -> Markup:
    """Sentences, one a line."""
    listed = [tag("li", line) for line in lines if line]
    return tag("ul", *listed, class_="lines") if listed else tag("span", "none", class_="dim")


def select_dag(diagnosis: Diagnosis, dag_id: str) -> Diagnosis:
    """The parts of a diagnosis that are about one DAG."""
    return diagnosis._replace(
        findings=[one for one in diagnosis.findings if dag_id in one.dags or is_of_dag(one.object, dag_id)],
        failures=[one for one in diagnosis.failures if dag_id in one.dags],
        failed_tries=[one for one in diagnosis.failed_tries if one.dag_id == dag_id],
        costs=[one for one in diagnosis.costs if is_of_dag(one.object, dag_id)],
    )


def is_of_dag(name: str, dag_id: str) -> bool:
    """Whether an object is the DAG, or a task of it (dag_id.task_id)."""
    return name == dag_id or name.startswith(f"{dag_id}.")


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
