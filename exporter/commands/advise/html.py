"""The report as one HTML file with its plots inside: no scripts, nothing loaded from elsewhere."""

from __future__ import annotations

from exporter.commands.advise.plots import draw_chart
from exporter.commands.advise.texts import NOT_READ, conclude, describe_window, list_rows, summarize
from exporter.tuning.advice import AdviceReport, Answer, Recommendation
from exporter.web.html import Markup, join, tag

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 64rem; padding: 1rem; color: #1b1b1b;
  overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } td, th { border-bottom: 1px solid #ccc; padding: .3rem .6rem; }
td { vertical-align: top; } th { text-align: left; overflow-wrap: normal; }
@media (max-width: 40rem) { td, th { padding: .3rem .2rem; font-size: .8rem; } }
article { border: 1px solid #ccc; border-radius: .4rem; margin: 1rem 0; padding: 0 1rem 1rem; }
dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0; }
pre { background: #f4f4f4; overflow-x: auto; padding: .5rem; }
figure { margin: 1rem 0; } img { max-width: 100%; }
"""


def to_html(report: AdviceReport) -> str:
    """The whole document."""
    ranking = [one for _, one in report.ranking]
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"Tuning advice for {report.airflow}"),
        tag("style", Markup(STYLE)),
    )
    body = [
        tag("h1", "Tuning advice"),
        tag("p", describe_window(report)),
        *[tag("p", f"{NOT_READ}: {problem}") for problem in report.problems],
        render_ranking(ranking) if ranking else tag("p", conclude(report)),
        *[render_recommendation(number, one) for number, one in enumerate(ranking, 1)],
        tag("h2", "All questions"),
        *[render_answer(answer) for answer in report.answers],
    ]
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', *body), lang='en')}\n"


def render_ranking(ranking: list[Recommendation]) -> Markup:
    """All changes in one table, most hours saved first."""
    columns = ("", "Change", "Now", "Saves", "Confidence")
    rows = [
        (
            tag("a", str(number), href=f"#change-{number}"),
            one.title,
            one.current or "-",
            one.savings.cell,
            str(one.confidence),
        )
        for number, one in enumerate(ranking, 1)
    ]
    head = tag("tr", *[tag("th", column, scope="col") for column in columns])
    return tag("table", head, *[tag("tr", *[tag("td", cell) for cell in row]) for row in rows])


def render_recommendation(number: int, one: Recommendation) -> Markup:
    """One change with all that is needed to judge it."""
    rows = [join(tag("dt", name), tag("dd", text)) for name, text in list_rows(one)]
    queries = tag("details", tag("summary", "PromQL to see it"), tag("pre", "\n".join(one.queries)))
    return tag("article", tag("h3", f"{number}. {one.title}"), tag("dl", *rows), queries, id=f"change-{number}")


def render_answer(answer: Answer) -> Markup:
    """A question, its answer in short, and its plots."""
    plots = [
        tag("figure", tag("img", src=draw_chart(chart), alt=f"{chart.title}: {chart.y_title} over {chart.x_title}"))
        for chart in answer.charts
    ]
    return tag("section", tag("h3", answer.title), tag("p", summarize(answer)), *plots, id=answer.question)
