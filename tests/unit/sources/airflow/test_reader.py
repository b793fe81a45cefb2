"""The order of readers, and what each says of itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from exporter.metrics.reading import Reading
from exporter.sources.airflow.reader import ApiReader, ReaderContext, order_by_needs
from exporter.sources.airflow.source import READERS


def make_reader(name: str, *needs: str) -> type[ApiReader]:
    class Reader(ApiReader):
        @classmethod
        def build(cls, context: ReaderContext, interval: float) -> Reader:
            return cls()

        def read(self) -> Reading:
            return Reading()

    Reader.name, Reader.needs = name, needs
    return Reader


def order(*readers: type[ApiReader]) -> Sequence[str]:
    return [reader.name for reader in order_by_needs(readers)]


def test_readers_without_needs_keep_their_order() -> None:
    assert order(make_reader("b"), make_reader("a"), make_reader("c")) == ["b", "a", "c"]


def test_a_reader_runs_after_those_that_it_needs() -> None:
    assert order(make_reader("a", "c"), make_reader("b"), make_reader("c", "b")) == ["b", "c", "a"]


def test_an_unknown_need_is_an_error() -> None:
    with pytest.raises(ValueError, match="reader a needs dag, which does not exist"):
        order(make_reader("a", "dag"), make_reader("dags"))


def test_a_circle_of_needs_is_an_error() -> None:
    with pytest.raises(ValueError, match="in a circle: a, b"):
        order(make_reader("a", "b"), make_reader("b", "a"), make_reader("c"))


def test_a_reader_that_needs_itself_is_an_error() -> None:
    with pytest.raises(ValueError, match="in a circle: a"):
        order(make_reader("a", "a"))


def test_every_reader_has_a_name_of_its_own_and_runs_after_its_needs() -> None:
    done: set[str] = set()
    for reader in READERS:
        assert reader.name not in done
        assert done.issuperset(reader.needs)
        done.add(reader.name)
