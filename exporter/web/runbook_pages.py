"""Rendering of runbooks: the labels of an alert are filled in, and names of alerts become links."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.web import pages
from exporter.web.html import Markup, tag
from exporter.web.runbook_files import list_runbooks, read_runbook

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

CODE_BLOCK = re.compile(r"^```(promql|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACEHOLDER = re.compile(r"\$([a-z]\w*)")
LABEL_NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")
AIRFLOW = "airflow"
AIRFLOW_MATCHER = 'airflow="$airflow"'
"""The matcher that selects the Airflow of the alert in queries."""
CAPITALIZED = re.compile(r"\b([A-Z]\w+)\b")


def fill_labels(text: str, labels: Mapping[str, str]) -> str:
    """Replace `$label` in queries and commands by the value of the alert's label, quoted for PromQL or the shell.

    A label without a value stays as `$label`. Labels that the runbook does not use, such as `cluster`, are added
    to the matcher of `airflow`, because they identify the Airflow too.
    """
    further = sorted(labels.keys() - set(list_placeholders(text)))
    matchers = "".join(f', {name}="${name}"' for name in further)

    def fill(block: re.Match[str]) -> str:
        quote = quote_argument if block[1] == "console" else quote_promql
        code = block[2].replace(AIRFLOW_MATCHER, AIRFLOW_MATCHER + matchers)
        filled = PLACEHOLDER.sub(lambda found: quote(labels[found[1]]) if found[1] in labels else found[0], code)
        return f"```{block[1]}\n{filled}```"

    return CODE_BLOCK.sub(fill, text)


def select_labels(text: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """The query parameters that are labels: those of placeholders, and further ones if the runbook uses `airflow`."""
    wanted = list_placeholders(text)
    return {
        name: value
        for name, value in parameters.items()
        if name in wanted or (AIRFLOW in wanted and LABEL_NAME.match(name))
    }


def quote_promql(value: str) -> str:
    """Escape a value for a double-quoted PromQL string; line breaks are escaped too, so that the code block goes on."""
    return json.dumps(value, ensure_ascii=False)[1:-1]


def quote_argument(value: str) -> str:
    """Quote a value as one shell argument. Control characters become `?`, because a terminal would obey them."""
    return shlex.quote("".join(character if character.isprintable() else "?" for character in value))


def list_placeholders(text: str) -> list[str]:
    """The labels that a runbook uses as `$label`, sorted."""
    return sorted({name for block in CODE_BLOCK.finditer(text) for name in PLACEHOLDER.findall(block[2])})


def get_title(text: str) -> str:
    """The first heading of a runbook: the name of its alert."""
    return text.partition("\n")[0].removeprefix("# ")


def render_runbook(text: str, labels: Mapping[str, str], names: Collection[str], link: Callable[[str], str]) -> Markup:
    """The HTML of a runbook below its first heading. `link` returns the address of another runbook."""
    open_labels = [name for name in list_placeholders(text) if name not in labels]
    parser = build_markdown_parser()
    tokens = parser.parse(fill_labels(text.partition("\n")[2], labels))
    add_heading_ids(tokens)
    for token in tokens:
        token.children = list(link_runbook_names(token.children, names, link)) if token.children else token.children
    html = parser.renderer.render(tokens, parser.options, {})
    return Markup(render_label_notes(labels, open_labels) + html)


def add_heading_ids(tokens: Sequence[Token]) -> None:
    """Let links lead to a heading: `## max_active_runs` becomes `#max_active_runs`."""
    for token, text in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", text.content.lower().replace(" ", "-"))


def build_markdown_parser() -> MarkdownIt:
    """A CommonMark parser with tables; HTML in the text is escaped."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - rarely needed, and workers must stay small

    return MarkdownIt("commonmark", {"html": False}).enable("table")


def link_runbook_names(tokens: Sequence[Token], names: Collection[str], link: Callable[[str], str]) -> Iterator[Token]:
    """Yield the tokens of a paragraph, with a link for each name of a runbook."""
    for token in tokens:
        parts = CAPITALIZED.split(token.content) if token.type == "text" else [token.content]
        for part in parts:
            if part in names and token.type in ("text", "code_inline"):
                yield from wrap_in_link(token.copy(content=part), link(part))
            elif part or token.type != "text":
                yield token.copy(content=part)


def wrap_in_link(token: Token, address: str) -> Iterator[Token]:
    """Yield the tokens of a link around a text."""
    kind = type(token)
    yield kind("link_open", "a", 1, attrs={"href": address})
    yield token
    yield kind("link_close", "a", -1)


def render_label_notes(labels: Mapping[str, str], open_labels: Sequence[str]) -> Markup:
    """Which labels are filled in, and which the reader has to replace."""
    filled = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    missing = ", ".join(f"${name}" for name in open_labels)
    lines = [
        tag("p", f"Labels of the alert: {filled}", class_="dim") if filled else "",
        tag("p", f"Replace {missing} by the labels of the alert; links in the alert do this for you.", class_="dim")
        if missing
        else "",
    ]
    return Markup("".join(lines))


def write_static_copy(folder: Path, form: str) -> int:
    """Write all runbooks into a folder, and return how many there are. Raises OSError.

    `markdown` writes NAME.md. `html` writes NAME.md/index.html and a list as index.html, so that a static
    web server has the same paths as the exporter.
    """
    names = list_runbooks()
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        text = read_runbook(name) or ""
        if form == "markdown":
            (folder / f"{name}.md").write_text(text, encoding="utf-8")
            continue
        (folder / f"{name}.md").mkdir(exist_ok=True)
        page = pages.render_page(name, render_runbook(text, {}, names, "../{}.md/".format), nav=[("Runbooks", "../")])
        (folder / f"{name}.md" / "index.html").write_text(page, encoding="utf-8")
    if form == "html":
        index = pages.render_page("Runbooks", pages.render_runbook_list(names, ""), nav=())
        (folder / "index.html").write_text(index, encoding="utf-8")
    return len(names)
