"""Check a built site: `python -m docs.site.check FOLDER`.

Every link and picture leads to a file and an anchor of the site, nothing is loaded from elsewhere, no Markdown is left.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""Elements for which a browser loads something, with the attribute that says what."""
IN_STYLES = re.compile(r"(?:url\(|@import)\s*[\"']?\s*((?:https?:)?//[^\"')]+)")
LEFTOVER = re.compile(r"^\s*(?:\|.*\||```|#{1,6} |\[[^\]]+\]\([^)]+\))", re.MULTILINE)
"""Tables, fences, headings and links that were not rendered."""


class Page(HTMLParser):
    """What a page links to, loads, and can be linked to; and its text outside of code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.prose: list[str] = []
        self._code = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links, files and anchors."""
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in LOADED and LOADED[tag] in found and found.get("rel") not in ("index", "search", "next", "prev"):
            self.loaded.append(found[LOADED[tag]])
        self._code += tag in ("pre", "code", "script", "style")

    def handle_endtag(self, tag: str) -> None:
        """Note the end of code."""
        self._code -= tag in ("pre", "code", "script", "style")

    def handle_data(self, data: str) -> None:
        """Keep the text of prose."""
        if not self._code:
            self.prose.append(data)


def check_site(folder: Path) -> Iterator[str]:
    """What is wrong with a site."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(folder.resolve())
        yield from (f"{name}: loads {found}" for found in page.loaded if is_elsewhere(found))
        yield from (f"{name}: Markdown is left: {found[0]}" for found in LEFTOVER.finditer("".join(page.prose)))
        for link in (*page.links, *page.loaded):
            if not is_elsewhere(link) and not leads_somewhere(link, path, pages):
                yield f"{name}: dead link {link}"
    for path in sorted(folder.rglob("*.css")):
        yield from (f"{path.name}: loads {found}" for found in IN_STYLES.findall(path.read_text(encoding="utf-8")))
    if not pages:
        yield f"{folder} holds no pages"


def is_elsewhere(link: str) -> bool:
    """Whether a link leads out of the site."""
    parts = urlsplit(link)
    return bool(parts.netloc) or parts.scheme in ("http", "https", "mailto")


def leads_somewhere(link: str, page: Path, pages: dict[Path, Page]) -> bool:
    """Whether a link of a page leads to a file of the site, and to an anchor that is there."""
    parts = urlsplit(link)
    if parts.scheme == "data":
        return True
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not parts.fragment or target not in pages:
        return target.exists()
    return unquote(parts.fragment) in pages[target].anchors


def main(arguments: list[str]) -> int:
    """Print what is wrong; the exit code says whether anything is."""
    problems = list(check_site(Path(arguments[0])))
    print("\n".join(problems) or "every link leads somewhere; nothing is loaded from elsewhere")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
