"""How values are written: what is taken, what is refused, and that what is shown can be read again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import urls, values

SEGMENT = st.text("abcXYZ019._~-", min_size=1, max_size=8)
BASES = st.builds(
    lambda scheme, host, port, path: f"{scheme}://{host}{port}{''.join('/' + part for part in path)}",
    st.sampled_from(["http", "https"]),
    st.sampled_from(["airflow", "airflow.example.org", "192.0.2.1", "[2001:db8::1]"]),
    st.sampled_from(["", ":8080"]),
    st.lists(SEGMENT.filter(lambda segment: segment not in ("v1", "v2", "api")), max_size=3),
)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30s", 30),
        ("1m30s", 90),
        ("5ms", 0.005),
        ("5m5ms", 300.005),
        ("1d", 86_400),
        ("1w2d", 777_600),
        ("1y", 31_536_000),
        ("0", 0),
        ("0s", 0),
        ("15", 15),
        ("0.5", 0.5),
        (15, 15),
        (0.25, 0.25),
    ],
)
def test_durations_are_written_as_in_prometheus_or_as_a_number_of_seconds(written: object, seconds: float) -> None:
    assert values.parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "s", "-5s", "5 s", "30s1m", "1m1m", "1.5m", "5S", "nan", "inf", "1e3", "\u0663s", "30s\n", -1, True, None, [],
     float("nan"), float("inf"), 10**400],
)  # fmt: skip
def test_what_is_no_duration_is_refused_with_examples(written: object) -> None:
    with pytest.raises(ValueError, match="write for example 30s, 1m30s"):
        values.parse_duration(written)


@given(st.integers(0, 10**12))
def test_a_duration_that_is_shown_reads_as_the_same(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert values.parse_duration(values.format_duration(seconds)) == seconds


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert values.parse_duration(text) >= 0


@given(BASES, st.sampled_from(["", "/", "//", "/api/v1", "/api/v2", "/api/v2/", "/api/v1//"]))
def test_a_base_url_loses_slashes_and_the_path_of_the_api_and_nothing_else(base: str, suffix: str) -> None:
    assert urls.parse_base_url(base + suffix) == base


@given(BASES, st.text("/apiv12", max_size=20))
def test_a_normalised_url_stays_as_it_is(base: str, path: str) -> None:
    once = urls.parse_base_url(f"{base}/{path}")
    assert urls.parse_base_url(once) == once


@pytest.mark.parametrize(
    "written",
    ["", "airflow", "airflow:8080", "ftp://airflow", "http://", "http://a:99999", "http://a:0", "http://a b", "http://[::1",
     "http://a?x=1", "http://a#top", "http://user@a", "http://user:secret@a", "//a", 8080, None],
)  # fmt: skip
def test_what_is_no_base_url_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        urls.parse_base_url(written)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("http://user:secret@proxy:3128", "http://***@proxy:3128"),
        ("http://user@proxy", "http://***@proxy"),
        ("https://login.example/token?key=secret", "https://login.example/token?***"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, shown: str) -> None:
    assert urls.mask_url(url) == shown


@pytest.mark.parametrize(
    "raw",
    ["http://u:se/cret@host", "htp://u:secret@host/x@y", "http://u:secret\n@host:port", "u:secret@host:3128"],
)
def test_an_error_repeats_no_credentials(raw: str) -> None:
    with pytest.raises(ValueError, match=r"\*\*\*@") as caught:
        urls.parse_proxy_url(raw)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_host_that_no_lookup_takes_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is not a URL"):
        urls.parse_endpoint_url(f"http://{host}:8080")


@pytest.mark.parametrize("parse", [urls.parse_proxy_url, urls.parse_public_proxy_url])
def test_a_password_is_not_taken_for_the_path_of_a_proxy(parse: Callable[[object], str]) -> None:
    with pytest.raises(ValueError, match=r"encode special characters|could read the proxy's password") as caught:
        parse("http://user:12/secret@proxy")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("written", [":10112", "0.0.0.0:10112", "localhost:0", "[::]:10112", "[2001:db8::1]:80"])
def test_addresses_have_a_host_or_none_and_a_port(written: str) -> None:
    assert values.parse_address(written) == written


@pytest.mark.parametrize(
    "written",
    ["", "10112", "localhost", "localhost:", "a:b", "a:70000", "::1:80", "a:-1", "a:\u0661", "a..b:1", f"{'a' * 64}:1"],
)
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="write HOST:PORT"):
        values.parse_address(written)


def test_several_addresses_are_a_list_or_separated_by_commas() -> None:
    assert values.parse_addresses(["a:1", "b:2"]) == values.parse_addresses("a:1, b:2") == ("a:1", "b:2")


@pytest.mark.parametrize("method", ["match", "search", "fullmatch"])
def test_a_regex_matches_whole_ids_however_it_is_asked(method: str) -> None:
    pattern = values.parse_regex("etl_.*|report")
    hits = [text for text in ("etl_a", "report", "my_etl_a", "reports", "report\n") if getattr(pattern, method)(text)]
    assert hits == ["etl_a", "report"]


def test_a_regex_keeps_its_leading_flags_and_is_shown_as_it_works() -> None:
    pattern = values.parse_regex("(?i)etl")
    assert pattern.match("ETL")
    assert values.format_regex(values.parse_regex("a|b")) == "a|b"


@pytest.mark.parametrize(
    ("written", "value"), [("true", True), ("ON", True), ("1", True), ("no", False), (False, False)]
)
def test_switches_take_the_usual_words(written: object, value: bool) -> None:
    assert values.parse_switch(written) is value


@pytest.mark.parametrize("written", ["", "maybe", 2, None])
def test_other_words_are_no_switch(written: object) -> None:
    with pytest.raises(ValueError, match="neither true nor false"):
        values.parse_switch(written)


def test_buckets_take_numbers_and_durations() -> None:
    assert values.parse_buckets([0.1, 1, "30s", "5m"]) == (0.1, 1, 30, 300)


def test_whole_numbers_have_a_least(tmp_path: Path) -> None:
    form = values.whole_number_type(1)
    assert form.parse("5") == form.parse(5) == 5
    for wrong in ("0", 0, 1.5, "1.5", "x", True, None, tmp_path):
        with pytest.raises(ValueError, match="is not a whole number of 1 or more"):
            form.parse(wrong)


def test_a_file_of_ours_need_not_exist_but_its_folder_must(tmp_path: Path) -> None:
    assert values.parse_writable_file(str(tmp_path / "state")) == tmp_path / "state"
    with pytest.raises(ValueError, match="does not exist or cannot be written"):
        values.parse_writable_file(str(tmp_path / "missing" / "state"))
    with pytest.raises(ValueError, match="is a folder"):
        values.parse_writable_file(str(tmp_path))
