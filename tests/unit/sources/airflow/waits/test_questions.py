"""Questions: few in a reading, remembered for a while, and an error about one stops no other."""

from __future__ import annotations

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.waits.questions import (
    ERROR_LIFETIME,
    MAX_PER_READING,
    MAX_SECONDS,
    REFUSED_LIFETIME,
    Answered,
    QuestionBudget,
)


class Airflow:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked = 0
        self.reason = ""
        self.questions = QuestionBudget(lambda: self.now)
        self.questions.begin()

    def answer(self) -> int:
        self.asked += 1
        if self.reason:
            raise ReaderError(self.reason, "no")
        return self.asked

    def ask(self, key: str, at_most: int = 100) -> Answered[int] | None:
        return self.questions.ask("kind", key, self.answer, lifetime=60.0, at_most=at_most)


def test_an_answer_holds_for_its_lifetime() -> None:
    airflow = Airflow()
    assert airflow.ask("a") == airflow.ask("a") == Answered(1)
    airflow.now += 61
    airflow.questions.begin()
    assert airflow.ask("a") == Answered(2)


def test_a_reading_asks_a_bounded_number_and_the_next_goes_on() -> None:
    airflow = Airflow()
    answers = [airflow.ask(str(number)) for number in range(MAX_PER_READING + 3)]
    assert airflow.asked == MAX_PER_READING
    assert answers[-1] is None
    airflow.questions.begin()
    assert airflow.ask(str(MAX_PER_READING)) is not None


def test_each_kind_has_a_limit_too() -> None:
    airflow = Airflow()
    assert [airflow.ask(key, at_most=2) is None for key in "abc"] == [False, False, True]


def test_a_slow_airflow_is_asked_less() -> None:
    airflow = Airflow()
    airflow.now += MAX_SECONDS
    assert airflow.ask("a") is None


def test_a_question_that_fails_is_answered_by_nothing_for_a_while() -> None:
    airflow = Airflow()
    airflow.reason = "server_error"
    assert airflow.ask("a") == Answered(None)
    assert airflow.questions.refused == set()
    airflow.reason = ""
    airflow.now += ERROR_LIFETIME - 1
    airflow.questions.begin()
    assert airflow.ask("a") == Answered(None)
    airflow.now += 2
    airflow.questions.begin()
    assert airflow.ask("a") == Answered(2)


def test_what_airflow_refuses_is_known_and_asked_again_after_an_hour() -> None:
    airflow = Airflow()
    airflow.reason = "forbidden"
    airflow.ask("a")
    assert airflow.questions.refused == {"kind"}
    airflow.reason = ""
    airflow.now += REFUSED_LIFETIME + 1
    airflow.questions.begin()
    assert airflow.ask("a") == Answered(2)
    assert airflow.questions.refused == set()


def test_a_forgotten_answer_is_asked_for_again() -> None:
    airflow = Airflow()
    airflow.ask("a")
    airflow.questions.forget("kind", "a")
    assert airflow.ask("a") == Answered(2)


def test_an_answer_that_may_be_renewed_holds_until_there_is_room() -> None:
    airflow = Airflow()

    def ask(key: str) -> Answered[int] | None:
        return airflow.questions.ask(
            "kind",
            key,
            airflow.answer,
            lifetime=60.0,
            at_most=1,
            renew_after=lambda answer: 10.0 if answer == 1 else 60.0,
        )

    assert ask("a") == Answered(1)
    airflow.now += 11
    assert ask("a") == Answered(1), "one question of the kind was asked in this reading"
    airflow.questions.begin()
    assert ask("a") == Answered(2)
    airflow.now += 59
    airflow.questions.begin()
    assert ask("a") == Answered(2)
    assert airflow.questions.is_known("kind", "a")
    airflow.now += 2
    airflow.questions.begin()
    assert not airflow.questions.is_known("kind", "a")
    assert ask("a") == Answered(3)
