"""A short form of `python -m tests.fuzz.fuzz_http`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.fuzz_http import fuzz
from tests.fuzz.http_requests import Manner, make_attack

ATTACKS = 1_500


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_invented_requests_neither_end_nor_change_the_exporter(seed: int, tmp_path: Path) -> None:
    fuzzer = fuzz(tmp_path, seed, ATTACKS)
    assert not fuzzer.problems
    assert {"200", "400", "404", "405"} <= set(fuzzer.statuses)


def test_a_seed_gives_the_same_attacks_of_every_manner() -> None:
    attacks = [make_attack(1, number) for number in range(300)]
    assert attacks == [make_attack(1, number) for number in range(300)]
    assert {attack.manner for attack in attacks} == set(Manner)
    assert attacks != [make_attack(2, number) for number in range(300)]
