"""Regular expressions of mapping files, with RE2 and without."""

from __future__ import annotations

import time

import pytest

from exporter.sources.statsd.mapping import regex
from exporter.sources.statsd.mapping.regex import PatternError, compile_pattern, compile_python, compile_re2

re2 = pytest.importorskip("re2")
COMPILERS = (compile_re2, compile_python)


@pytest.mark.parametrize("compile_text", COMPILERS)
def test_a_pattern_matches_anywhere_and_tells_what_it_caught(compile_text: object) -> None:
    caught = compile_text(r"b\.(?P<rest>\w+)(x)?").search("a.b.cc")  # type: ignore[operator]
    assert (caught[0], caught.groups(), caught.groupdict()) == ("b.cc", ("cc", None), {"rest": "cc"})


@pytest.mark.parametrize("compile_text", COMPILERS)
@pytest.mark.parametrize("text", ["*\\.foo", "(", "a{2,1}", "[b-a]"])
def test_what_is_no_regular_expression_is_told(compile_text: object, text: str) -> None:
    with pytest.raises(PatternError):
        compile_text(text)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (r"a(?i)B", "AaB"),
        (r"q\z", "q"),
        (r"\pL9", "é9"),
        (r"(?<n>m+)", "mm"),
        (r"(?U)r(.+)", "rst"),
        (r"^[[:alpha:]]+$", "abc"),
        (r"\Qa.b\E", "a.b"),
    ],
)
def test_re2_knows_what_statsd_exporter_knows(text: str, name: str) -> None:
    assert compile_re2(text).search(name)


@pytest.mark.parametrize("text", [r"a(?=b)", r"(a)\1", r"a++", r"a{1001}"])
def test_re2_refuses_what_statsd_exporter_refuses(text: str) -> None:
    with pytest.raises(PatternError):
        compile_re2(text)


def test_the_time_of_re2_only_grows_with_the_name() -> None:
    began = time.perf_counter()
    assert not compile_re2(r"(a+)+$").search("a" * 60_000 + "b")
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("text", [r"(a+)+$", r"(\w*)*x", r"((a|b)+)+", r"(a{2,})+", r"[[:alpha:]]"])
def test_without_re2_what_may_take_for_ever_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(regex, "HAS_RE2", False)
    with pytest.raises(PatternError, match="install the extra `regex`"):
        compile_pattern(text)
