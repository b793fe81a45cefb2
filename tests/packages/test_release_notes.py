"""The notes of a release are the section of its version in the changelog."""

from __future__ import annotations

from pathlib import Path

import pytest

from packages import release_notes

TEXT = """# Changelog

## [Unreleased]

## [1.10.0] - 2026-12-01

### Added

- Something, see [1.1.0].

## 1.1.0 - 2026-11-01

- Older.

[1.10.0]: https://example.org/compare
"""


def test_the_section_of_a_version_is_printed_without_heading_and_links() -> None:
    assert release_notes.extract(TEXT, "1.10.0") == "### Added\n\n- Something, see [1.1.0].\n"
    assert release_notes.extract(TEXT, "1.1.0") == "- Older.\n"


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("1.1", "there is no section of 1.1; there are Unreleased, 1.10.0, 1.1.0"),
        ("Unreleased", "the section of Unreleased is empty"),
    ],
)
def test_a_release_without_notes_is_refused(version: str, message: str) -> None:
    with pytest.raises(release_notes.NotesError, match=message):
        release_notes.extract(TEXT, version)


def test_the_command_reads_our_changelog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release_notes.main(["Unreleased"]) == 0
    assert capsys.readouterr().out.startswith("### ")
    (tmp_path / "CHANGELOG.md").write_text(TEXT, encoding="utf-8")
    monkeypatch.setattr(release_notes, "CHANGELOG", tmp_path / "CHANGELOG.md")
    assert release_notes.main(["v1.1.0"]) == 0
    assert capsys.readouterr().out == "- Older.\n"
    assert release_notes.main(["9.0.0"]) == 1
    assert capsys.readouterr().err.startswith("CHANGELOG.md: there is no section of 9.0.0")
    assert release_notes.main([]) == 2
