"""Runbooks as they are shown: the labels of the alert filled in, as Markdown or as HTML with links between them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.web import pages
from exporter.web.html import Markup, tag
from exporter.web.runbook_files import list_runbooks, read_runbook

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

FENCE = re.compile(r"^```(promql|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACEHOLDER = re.compile(r"\$([a-z]\w*)")
NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")
AIRFLOW = "airflow"
CHOSEN = 'airflow="$airflow"'
"""How queries choose the Airflow that an alert is about."""
WORD = re.compile(r"\b([A-Z]\w+)\b")


def fill_labels(text: str, labels: Mapping[str, str]) -> str:
    """Put the values of an alert's labels in the place of `$label` in queries and commands, quoted for each.

    A label that is not given stays as `$label`. Labels without a place go beside `airflow`: they say which it is.
    """

    further = sorted(labels.keys() - set(list_placeholders(text)))
    beside = "".join(f', {name}="${name}"' for name in further)

    def fill(fence: re.Match[str]) -> str:
        quote = quote_argument if fence[1] == "console" else quote_promql
        block = fence[2].replace(CHOSEN, CHOSEN + beside)
        filled = PLACEHOLDER.sub(lambda found: quote(labels[found[1]]) if found[1] in labels else found[0], block)
        return f"```{fence[1]}\n{filled}```"

    return FENCE.sub(fill, text)


def choose_labels(text: str, given: Mapping[str, str]) -> dict[str, str]:
    """Of the parameters of a request, those that are labels: for a placeholder, or beside `airflow`."""
    wanted = list_placeholders(text)
    return {name: value for name, value in given.items() if name in wanted or (AIRFLOW in wanted and NAME.match(name))}


def quote_promql(value: str) -> str:
    """A value as it stands between double quotes in PromQL. No line break is left that could end the block of code."""
    return json.dumps(value, ensure_ascii=False)[1:-1]


def quote_argument(value: str) -> str:
    """A value as one argument of a command. What is not printable could act on a terminal, and is replaced."""
    return shlex.quote("".join(character if character.isprintable() else "?" for character in value))


def list_placeholders(text: str) -> list[str]:
    """The labels whose values a runbook has a place for, in alphabetical order."""
    return sorted({name for fence in FENCE.finditer(text) for name in PLACEHOLDER.findall(fence[2])})


def find_title(text: str) -> str:
    """The name of the alert that a runbook is about: its first heading."""
    return text.partition("\n")[0].removeprefix("# ")


def show_runbook(text: str, labels: Mapping[str, str], names: Collection[str], link: Callable[[str], str]) -> Markup:
    """The HTML of a runbook below its first heading. `link` has the address of another runbook, by its name."""
    open_labels = [name for name in list_placeholders(text) if name not in labels]
    parser = make_parser()
    tokens = parser.parse(fill_labels(text.partition("\n")[2], labels))
    for token in tokens:
        token.children = list(link_names(token.children, names, link)) if token.children else token.children
    html = parser.renderer.render(tokens, parser.options, {})
    return Markup(describe_labels(labels, open_labels) + html)


def make_parser() -> MarkdownIt:
    """CommonMark with tables, in which HTML is text."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - a runbook is opened seldom, and a worker has to stay small

    return MarkdownIt("commonmark", {"html": False}).enable("table")


def link_names(tokens: Sequence[Token], names: Collection[str], link: Callable[[str], str]) -> Iterator[Token]:
    """The parts of a paragraph, with a link wherever the name of another runbook stands."""
    for token in tokens:
        parts = WORD.split(token.content) if token.type == "text" else [token.content]
        for part in parts:
            if part in names and token.type in ("text", "code_inline"):
                yield from wrap_in_link(token.copy(content=part), link(part))
            elif part or token.type != "text":
                yield token.copy(content=part)


def wrap_in_link(token: Token, address: str) -> Iterator[Token]:
    kind = type(token)
    yield kind("link_open", "a", 1, attrs={"href": address})
    yield token
    yield kind("link_close", "a", -1)


def describe_labels(labels: Mapping[str, str], open_labels: Sequence[str]) -> Markup:
    """Which labels are filled in, and which the reader has to put in."""
    given = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    missing = ", ".join(f"${name}" for name in open_labels)
    lines = [
        tag("p", f"Labels of the alert: {given}", class_="dim") if given else "",
        tag("p", f"Replace {missing} by the labels of the alert; links from the alert do so.", class_="dim")
        if missing
        else "",
    ]
    return Markup("".join(lines))


def write_copy(folder: Path, form: str) -> int:
    """Write all runbooks into a folder, and return how many there are. Raises OSError.

    `markdown` writes them as NAME.md. `html` writes NAME.md/index.html, so that a web server of static files answers
    the same paths as the exporter, and index.html.
    """
    names = list_runbooks()
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        text = read_runbook(name) or ""
        if form == "markdown":
            (folder / f"{name}.md").write_text(text, encoding="utf-8")
            continue
        (folder / f"{name}.md").mkdir(exist_ok=True)
        page = pages.show_page(name, show_runbook(text, {}, names, "../{}.md/".format), nav=[("Runbooks", "../")])
        (folder / f"{name}.md" / "index.html").write_text(page, encoding="utf-8")
    if form == "html":
        index = pages.show_page("Runbooks", pages.list_runbooks(names, ""), nav=())
        (folder / "index.html").write_text(index, encoding="utf-8")
    return len(names)
