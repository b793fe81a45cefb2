"""Sphinx's configuration of the documentation as a site: `make site`.

The source is the whole repository, so that links between its pages and to its files are the same there as here.
Nothing is loaded from elsewhere: the theme uses the fonts of the reader's machine, and search is a script of the site.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.navigation import BELOW, HOME, PATTERNS, list_sections  # noqa: E402 - found by the line above
from exporter import __version__  # noqa: E402

project = "Airflow metrics exporter"
release = __version__
root_doc = HOME
include_patterns = list(PATTERNS)
extensions = ["myst_parser"]
myst_heading_anchors = 6
suppress_warnings = [
    "misc.highlighting_failure",  # Pygments does not know the colons of recorded series in PromQL
    "myst.header",  # generated sections may begin at the third level
]
html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
REDIRECT = f'<!doctype html><title>{project}</title><meta http-equiv="refresh" content="0; url={HOME}.html">\n'


def format_tree(pages: Iterable[str], caption: str = "") -> str:
    """A list of pages for the navigation, which the page itself does not show."""
    lines = ["```{toctree}", ":hidden:", ":glob:", *([f":caption: {caption}"] if caption else []), ""]
    return "\n".join([*lines, *(f"/{page}" for page in pages), "```", ""])


def add_navigation(_: Sphinx, page: str, source: list[str]) -> None:
    """Add the navigation to the pages that hold it, and let links to a folder of pages lead to the page above them."""
    if page == HOME:
        source[0] += "\n" + "\n".join(format_tree(pages, caption) for caption, pages in list_sections())
    if page in BELOW:
        source[0] += "\n" + format_tree((BELOW[page],))
    for above, below in BELOW.items():
        source[0] = source[0].replace(f"]({below.removesuffix('/*')})", f"]({above}.md)")


def write_index(app: Sphinx, problem: Exception | None) -> None:
    """The address of the site leads to its first page."""
    if problem is None:
        (Path(app.outdir) / "index.html").write_text(REDIRECT, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("source-read", add_navigation)
    app.connect("build-finished", write_index)
