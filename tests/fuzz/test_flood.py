"""The kept seeds of the flood (flood.py): the exporter lives, is bounded, and keeps what is not meant."""

from __future__ import annotations

import pytest

from tests.fuzz import flood


@pytest.mark.slow
def test_a_flood_of_damaged_lines_leaves_the_exporter_alive_bounded_and_other_series_as_they_are() -> None:
    corpus = flood.read_corpus()
    with flood.run_exporter() as flooded:
        sent = flood.flood(flooded, 0, corpus, flood.Count(0, 0), 0)
        for seed in map(int, flood.SEEDS.read_text().split()):
            sent = flood.flood(flooded, seed, corpus, sent)
        text = flood.wait_until_read(flooded, sent)
        flood.check(flooded, text, sent)


def test_a_seed_makes_the_same_lines_again() -> None:
    corpus = [b"airflow.ti.start.etl.load:1|c", b"airflow.pool.open_slots.a:7|g"]
    first = flood.make_chunk(17, corpus, 500)
    assert first == flood.make_chunk(17, corpus, 500) != flood.make_chunk(18, corpus, 500)
    assert len(first) == 500
    assert not any(b"\n" in line for line in first)
