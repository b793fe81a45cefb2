"""How the rules of `error_rules` are applied to what is known of a failed try.

The type of an exception decides before its words, and the exception that ended the try before those that caused it:
psycopg's OperationalError "Connection refused" is a matter of the database. A general type (AirflowException,
ValueError) says nothing, so what caused it is asked next; then the words of all of them, then exit codes and signals,
then what a command wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from exporter.diagnosis import error_classes as classes
from exporter.diagnosis.error_classes import ErrorClass
from exporter.diagnosis.error_rules import RULES, ErrorRule
from exporter.diagnosis.evidence import Evidence, RaisedError, find_exit_code


def classify(evidence: Evidence, extra: Sequence[ErrorRule] = ()) -> ErrorClass:
    """The class of a failed try. `extra` are the users' rules, which come first."""
    if (found := _find_in_order(extra, evidence)) is not None:
        return found
    found = _classify_by_log(evidence)
    return classes.MEMORY if evidence.out_of_memory and found in (classes.KILLED, classes.UNKNOWN) else found


def _classify_by_log(evidence: Evidence) -> ErrorClass:
    """The class by what the try left behind."""
    typed = _find_typed(RULES, evidence.chain)
    if typed is classes.COMMAND:
        return _classify_command(evidence)
    if typed is not None:
        return typed
    if not evidence.chain:
        return _classify_without_exception(evidence)
    return _find_words(RULES, [error.text for error in evidence.chain]) or classes.CODE


def _classify_without_exception(evidence: Evidence) -> ErrorClass:
    """The class where the process ended without an exception: by its exit code, else by the errors that it logged."""
    by_words = _find_words(RULES, [evidence.complaints])
    by_code = _find_code(RULES, evidence.exit_code)
    if by_words is classes.MEMORY or by_code is None:
        by_code = by_words
    if by_code is not None:
        return by_code
    return classes.UNKNOWN if evidence.exit_code in (None, 0) else classes.COMMAND


def _classify_command(evidence: Evidence) -> ErrorClass:
    """The class where a command ended with an exit code: by a code that means something, else by what it wrote."""
    text = "\n".join(error.text for error in evidence.chain)
    code = find_exit_code(text)
    found = _find_code(RULES, evidence.exit_code if code is None else code)
    if found is classes.KILLED and _find_words(RULES, [text, evidence.said]) is classes.MEMORY:
        return classes.MEMORY
    found = found or _find_typed(RULES, evidence.output)
    if found is not None and found is not classes.COMMAND:
        return found
    found = _find_words(RULES, [text, evidence.said])
    return found or (classes.CODE if evidence.output else classes.COMMAND)


def _find_in_order(rules: Iterable[ErrorRule], evidence: Evidence) -> ErrorClass | None:
    """The first of a user's rules that matches anything that is known."""
    text = "\n".join(error.text for error in evidence.chain)
    for rule in rules:
        if rule.codes and evidence.exit_code not in rule.codes and find_exit_code(text) not in rule.codes:
            continue
        if rule.is_typed and not any(map(rule.matches, (*evidence.chain, *evidence.output))):
            continue
        texts = (text, evidence.complaints, evidence.said)
        if not rule.is_typed and rule.words and not any(map(rule.matches_words, texts)):
            continue
        return rule.error_class
    return None


def _find_typed(rules: Iterable[ErrorRule], chain: Sequence[RaisedError]) -> ErrorClass | None:
    typed = [rule for rule in rules if rule.is_typed]
    found: Iterator[ErrorClass] = (rule.error_class for error in chain for rule in typed if rule.matches(error))
    return next(found, None)


def _find_words(rules: Iterable[ErrorRule], texts: Iterable[str]) -> ErrorClass | None:
    found = (rule.error_class for text in texts for rule in rules if rule.matches_words(text))
    return next(found, None)


def _find_code(rules: Iterable[ErrorRule], code: int | None) -> ErrorClass | None:
    return next((rule.error_class for rule in rules if code is not None and code in rule.codes), None)
