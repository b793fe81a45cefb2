"""What the docs say is what the code declares, and the example configuration works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs import generate
from exporter.config import loader
from exporter.config.options import OPTIONS
from exporter.metrics.catalogue.families import FAMILIES

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "exporter.yml"


def list_keys(data: Mapping[str, Any], place: str = "") -> Iterator[str]:
    for name, value in data.items():
        yield place + name
        if isinstance(value, dict):
            yield from list_keys(value, f"{place}{name}.")


@pytest.mark.parametrize("page", sorted(generate.FOLDER.glob("*.md")), ids=lambda path: path.name)
def test_a_page_is_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert generate.update(text) == text, "run python -m docs.generate"


def test_an_outdated_page_is_found_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text("Prose.\n<!-- generated: histograms -->\nold\n<!-- end -->\nMore.\n", encoding="utf-8")
    monkeypatch.setattr(generate, "FOLDER", page.parent)
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().out == "docs/page.md is out of date; run python -m docs.generate\n"
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    written = page.read_text(encoding="utf-8")
    assert written.startswith("Prose.\n")
    assert written.endswith("More.\n")
    assert "old" not in written


def test_every_metric_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert [family.name for family in FAMILIES if f"| `{family.name}` |" not in text] == []


def test_the_example_configuration_sets_nothing_but_the_url() -> None:
    example = loader.load({"config.file": str(EXAMPLE)}, {}).settings
    assert example == loader.load({"airflow.url": "http://localhost:8080"}, {}).settings


def test_what_the_example_shows_as_a_comment_is_an_option_too() -> None:
    known = {option.key for option in OPTIONS}
    sections = {key.rpartition(".")[0] for key in known}
    text = EXAMPLE.read_text(encoding="utf-8")
    shown = [line.replace("# ", "", 1) if is_option(line) else line for line in text.splitlines()]
    keys = set(list_keys(yaml.safe_load("\n".join(shown))))
    assert {key for key in keys if key not in known | sections and key.rpartition(".")[0] not in known} == set()
    assert len(keys & known) > 30


def is_option(line: str) -> bool:
    """Whether a comment is an option that is left out, rather than prose."""
    words = line.strip().removeprefix("#").split()
    return line.strip().startswith("# ") and bool(words) and words[0].endswith(":") and words[0].islower()
