"""How the rules of `error_rules` are applied to what is known of a failed try.

The type of an exception decides before its words, and the exception that ended the try before those that caused it:
psycopg's OperationalError "Connection refused" is a matter of the database. A general type (AirflowException,
ValueError) says nothing, so what caused it is asked next; then the words of all of them, then exit codes and signals,
then what a command wrote, its last line first. What Airflow raises to end a try decides wherever it is in the chain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from exporter.diagnosis import error_classes as classes
from exporter.diagnosis.error_classes import ErrorClass
from exporter.diagnosis.error_rules import ENDINGS, LAST_RULES, RULES, ErrorRule, is_python_mistake
from exporter.diagnosis.evidence import Evidence, RaisedError, find_exit_code

MAX_LINES = 20
"""Last lines of a command's output that are looked at."""
STACK = re.compile(r"^\s*(?:at [\w.$]+\(|\.\.\. \d+ more|File \"|\^|~)")
"""Lines of a stack trace: they name no cause."""
GOES_ON = re.compile(
    r"\b(?:retrying|will retry|retry in|trying again|try again in|reconnect\w*|recovered|warn(?:ing)?)\b", re.IGNORECASE
)
"""Lines of what a command got over."""
LAST_TRY = re.compile(r"Retry\(total=0\b")
RAISED_LINE = re.compile(
    r"(?P<lead>^|^\[[\w-]{1,63}\] |[Cc]aused by: |Exception in thread \"[^\"]{1,250}\" |^[\d:., -]{8,40} )"
    r"(?P<type>(?:[A-Za-z_][\w$]*\.)*[A-Z]\w*(?:Error|Exception|Timeout))(?::\s*(?P<text>.*))?$"
)
"""The last line of a traceback whose beginning is not there, or one of Java."""
CURL = re.compile(r"curl: \((\d{1,3})\)")
VALUES = re.compile(r"invalid literal for|could not convert|does not match format|unconverted data|Invalid isoformat")
"""Python's own words about a value, which may say anything."""


def classify(evidence: Evidence, extra: Sequence[ErrorRule] = ()) -> ErrorClass:
    """The class of a failed try. `extra` are the users' rules, which come first."""
    if (found := _find_in_order(extra, evidence)) is not None:
        return found
    found = _classify_by_log(evidence)
    return classes.MEMORY if evidence.out_of_memory and found in (classes.KILLED, classes.UNKNOWN) else found


def _classify_by_log(evidence: Evidence) -> ErrorClass:
    """The class by what the try left behind."""
    if not evidence.chain:
        return _classify_without_exception(evidence)
    found = _classify_chain(evidence.chain)
    return _classify_command(evidence) if found is classes.COMMAND else found


def _classify_chain(chain: Sequence[RaisedError]) -> ErrorClass:
    """The class by exceptions: their types, then their words."""
    if (found := _find_typed(ENDINGS, chain)) is not None:
        return found
    chain = _leave_out_handled(chain)
    if (found := _find_typed(RULES, chain)) is not None:
        return found
    telling = [one for one in chain if not is_python_mistake(one.name) and not VALUES.search(one.text)]
    by_words = _find_words(RULES, [error.text for error in telling])
    return by_words or _find_typed(LAST_RULES, chain) or classes.CODE


def _leave_out_handled(chain: Sequence[RaisedError]) -> Sequence[RaisedError]:
    """The chain without what does not explain a mistake that was made while it was handled.

    Trouble from outside does: without it the mistake would not have shown. A file or a module that is looked for in
    vain is no trouble, because `try: ... except FileNotFoundError:` is how Python asks.
    """
    if not chain or not is_python_mistake(chain[0].name):
        return chain
    return [
        one
        for one in chain
        if not one.handled or _find_typed(RULES, [one]) not in (classes.CONFIGURATION, classes.CODE)
    ]


def _classify_without_exception(evidence: Evidence) -> ErrorClass:
    """The class where the process ended without an exception: by its exit code, else by the errors that it logged."""
    by_words = _find_words(RULES, [evidence.complaints])
    by_code = _find_code(evidence.exit_code)
    if by_words is classes.MEMORY or by_code is None:
        by_code = by_words
    if by_code is not None and not (evidence.stops and by_code is not classes.KILLED):
        return by_code
    if evidence.stops:
        return classes.KILLED
    return classes.UNKNOWN if evidence.exit_code in (None, 0) else classes.COMMAND


def _classify_command(evidence: Evidence) -> ErrorClass:
    """The class where a command ended with an exit code: by a code that means something, else by what it wrote."""
    text = "\n".join(error.text for error in evidence.chain)
    code = find_exit_code(text)
    code = evidence.exit_code if code is None else code
    found = _find_code(code)
    if found in (classes.KILLED, classes.CODE) and _find_words(RULES, [text, evidence.said]) is classes.MEMORY:
        return classes.MEMORY
    if found is not None:
        return found
    by_output = _classify_chain(evidence.output) if evidence.output else classes.COMMAND
    if by_output is not classes.COMMAND:
        return by_output
    found = _find_last_words([*text.splitlines(), *evidence.said.splitlines()]) or _find_words(RULES, [text])
    return found or _find_code(code, f"{evidence.command}\n{text}") or classes.COMMAND


def _find_last_words(lines: Sequence[str]) -> ErrorClass | None:
    """The class by the last line of a command's output that says something; what it got over does not count."""
    telling = [one for one in lines if one.strip() and not STACK.match(one)]
    for line in reversed(telling[-MAX_LINES:]):
        if GOES_ON.search(line) and not LAST_TRY.search(line):
            continue
        if (found := _find_line(line)) is not None:
            return found
    return None


def _find_line(line: str) -> ErrorClass | None:
    """The class by one line of a command's output."""
    if (curl := CURL.search(line)) and (found := _find_code(int(curl[1]), "curl")) is not None:
        return found
    raised = RAISED_LINE.search(line)
    if raised is None:
        return _find_words(RULES, [line])
    module, _, name = raised["type"].rpartition(".")
    found = _classify_chain([RaisedError(name, module, raised["text"] or "")])
    return None if found is classes.COMMAND else found


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


def _find_code(code: int | None, command: str = "") -> ErrorClass | None:
    if code is None:
        return None
    return next((rule.error_class for rule in RULES if rule.matches_code(code, command)), None)
