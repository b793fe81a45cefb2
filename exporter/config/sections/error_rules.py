"""The users' rules for classes of failed tries: a list in the YAML file, checked when it is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from exporter.config.settings import ErrorRuleSettings
from exporter.config.values import ValueType, quote_value
from exporter.metrics.catalogue.api.failures import ERROR_CLASSES

CONDITIONS = ("exception", "module", "words")
"""Keys of a rule that hold a regular expression."""
KEYS = ("class", *CONDITIONS, "exit_codes")
MAX_RULES = 200
EXAMPLE = "{class: dependency, exception: MainframeError, words: 'quota exceeded', exit_codes: [75]}"


def parse_error_rules(raw: object) -> tuple[ErrorRuleSettings, ...]:
    """Rules in their order. Raises ValueError with the number of the rule that is wrong."""
    if not isinstance(raw, list):
        raise ValueError(f"{quote_value(raw)} is not a list of rules; write for example [{EXAMPLE}]")  # noqa: TRY004 - one type for all callers
    if len(raw) > MAX_RULES:
        raise ValueError(f"there are {len(raw)} rules; at most {MAX_RULES} are allowed")
    return tuple(parse_rule(number, rule) for number, rule in enumerate(raw, 1))


def parse_rule(number: int, raw: object) -> ErrorRuleSettings:
    """One rule. Raises ValueError."""
    if not isinstance(raw, Mapping):
        raise ValueError(f"rule {number}: {quote_value(raw)} is not a rule; write for example {EXAMPLE}")  # noqa: TRY004 - one type for all callers
    for key in raw:
        if key not in KEYS:
            raise ValueError(f"rule {number}: {quote_value(key)} is not a key of a rule; {suggest(key, KEYS)}")
    name = raw.get("class")
    if name not in ERROR_CLASSES:
        raise ValueError(f"rule {number}: class {quote_value(name)} does not exist; {suggest(name, ERROR_CLASSES)}")
    texts = {key: parse_pattern(number, key, raw.get(key, "")) for key in CONDITIONS}
    codes = parse_codes(number, raw.get("exit_codes", []))
    if not codes and not any(texts.values()):
        raise ValueError(f"rule {number}: it has no condition; add one of {', '.join(KEYS[1:])}")
    return ErrorRuleSettings(str(name), texts["exception"], texts["module"], texts["words"], codes)


def parse_pattern(number: int, key: str, raw: object) -> str:
    """A regular expression; empty where there is none. Raises ValueError."""
    if not isinstance(raw, str):
        raise ValueError(f"rule {number}: {key}: {quote_value(raw)} is not text; put it in quotes")  # noqa: TRY004 - one type for all callers
    try:
        re.compile(raw)
    except re.error as error:
        raise ValueError(f"rule {number}: {key}: {quote_value(raw)} is not a regular expression: {error}") from None
    return raw


def parse_codes(number: int, raw: object) -> tuple[int, ...]:
    """Exit codes, signals as negative numbers. Raises ValueError."""
    found: list[Any] = raw if isinstance(raw, list) else [raw]
    if any(isinstance(code, bool) or not isinstance(code, int) or not -64 <= code <= 255 for code in found):
        raise ValueError(
            f"rule {number}: exit_codes: {quote_value(raw)} is not a list of exit codes from 0 to 255, with signals as "
            "negative numbers"
        )
    return tuple(found)


def suggest(name: object, known: tuple[str, ...]) -> str:
    """The most similar of the known names, or all of them."""
    from difflib import get_close_matches  # noqa: PLC0415 - rarely needed

    nearest = get_close_matches(str(name), known, n=1, cutoff=0.6)
    return f"did you mean {nearest[0]}?" if nearest else f"use one of {', '.join(known)}"


def format_error_rules(rules: tuple[ErrorRuleSettings, ...]) -> str:
    """The rules for the page /config: how many, and of which classes."""
    if not rules:
        return ""
    classes = ", ".join(dict.fromkeys(rule.error_class for rule in rules))
    return f"{len(rules)} rule{'s' if len(rules) > 1 else ''} ({classes})"


ERROR_RULES = ValueType("[{class: NAME, ...}, ...]", parse_error_rules, format_error_rules)
