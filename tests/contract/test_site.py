"""Every page is in the navigation of the site once, and what checks the built site finds what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.navigation import BELOW, HOME, PATTERNS, ROOT, list_sections
from docs.site.check import check_site, main


def list_pages() -> set[str]:
    """All pages, without `.md`."""
    return {str(path.relative_to(ROOT).with_suffix("")) for pattern in PATTERNS for path in ROOT.glob(pattern)}


def test_every_page_is_in_the_navigation_once() -> None:
    placed = [HOME, *(page for _, pages in list_sections() for page in pages)]
    placed += [
        str(path.relative_to(ROOT).with_suffix("")) for below in BELOW.values() for path in ROOT.glob(f"{below}.md")
    ]
    assert len(placed) == len(set(placed))
    assert list_pages() == set(placed), "add the page to SECTIONS in docs/navigation.py"


def test_pages_with_others_below_them_are_in_the_navigation() -> None:
    assert BELOW.keys() <= {page for _, pages in list_sections() for page in pages}


PICTURES = {"diagnosis": "diagnosis-dashboard"}
"""Names of pictures that differ from those of the dashboards: diagnosis.png is the page of the exporter."""
WRONG = {
    '<link rel="stylesheet" href="https://fonts.example.org/a.css">': "loads https://fonts.example.org/a.css",
    '<script src="//cdn.example.org/a.js"></script>': "loads //cdn.example.org/a.js",
    '<a href="gone.html">gone</a>': "dead link gone.html",
    '<a href="other.html#nowhere">gone</a>': "dead link other.html#nowhere",
    '<a href="#nowhere">gone</a>': "dead link #nowhere",
    '<img src="gone.png">': "dead link gone.png",
    "<p>\n| a | b |\n</p>": "Markdown is left: \n| a | b |",
}


@pytest.mark.parametrize("html", WRONG)
def test_what_is_wrong_with_a_site_is_found(html: str, tmp_path: Path) -> None:
    (tmp_path / "other.html").write_text("<h1 id='here'>Other</h1>", encoding="utf-8")
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    assert list(check_site(tmp_path)) == [f"page.html: {WRONG[html]}"]


def test_a_style_that_loads_a_font_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>Text</p>", encoding="utf-8")
    (tmp_path / "page.css").write_text("@font-face { src: url('https://fonts.example.org/a.woff') }", encoding="utf-8")
    assert list(check_site(tmp_path)) == ["page.css: loads https://fonts.example.org/a.woff"]


def test_a_good_site_passes_and_an_empty_one_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    text = "<h1 id='top'>Page</h1><a href='#top'>up</a><a href='https://example.org'>out</a><code>| a | b |</code>"
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    assert main([str(tmp_path)]) == 0
    assert "every link leads somewhere" in capsys.readouterr().out


@pytest.mark.parametrize("picture", sorted((ROOT / "docs/images").glob("*.png")), ids=lambda path: path.name)
def test_a_picture_is_small_and_shown_somewhere(picture: Path) -> None:
    assert picture.stat().st_size <= 150_000, "see grafana/pictures/shrink.py"
    assert any(f"images/{picture.name})" in (ROOT / f"{page}.md").read_text(encoding="utf-8") for page in list_pages())


def test_every_dashboard_has_a_picture() -> None:
    text = (ROOT / "docs/dashboards.md").read_text(encoding="utf-8")
    names = {path.stem.removeprefix("airflow-") for path in (ROOT / "grafana/dashboards").glob("*.json")}
    assert {name for name in names if f"](images/{PICTURES.get(name, name)}.png)" not in text} == set()
