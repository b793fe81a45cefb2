"""Types of option values: how each is parsed from a flag, a variable or the YAML file, and formatted.

Parsers take text or a YAML value and raise ValueError; its message says what to write instead.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from exporter.config.hosts import is_host

UNIT_MILLISECONDS = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,9}}){unit})?" for unit in UNIT_MILLISECONDS) + r"\Z")
NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?\Z")
LEADING_FLAGS = re.compile(r"\A\(\?[aiLmsux]+\)")
PLAIN_PATH = re.compile(r"/?(?:[a-z0-9._-]{1,32}/)+[a-z0-9._-]{1,32}\Z")
BOOLEANS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


@dataclass(frozen=True, slots=True)
class ValueType:
    """One type of value: its name in the help, its parser and its formatter."""

    metavar: str
    parse: Callable[[object], Any]
    format: Callable[[Any], str] = str
    is_path: bool = False


def quote_value(raw: object) -> str:
    """The value as an error message may repeat it: shortened, and without the credentials of a URL."""
    text = re.sub(r"(//|^(?=[^/@]*:(?!//))).*@", r"\1***@", str(raw), flags=re.DOTALL)
    short = text if len(text) <= 60 else text[:57] + "..."
    return repr(short) if isinstance(raw, str) else short


def parse_text(raw: object) -> str:
    """Any text. Raises ValueError for a number or another YAML value."""
    if not isinstance(raw, str):
        raise ValueError(f"{quote_value(raw)} is not text; put it in quotes")  # noqa: TRY004 - one type for all callers
    return raw


def parse_switch(raw: object) -> bool:
    """true or false; also yes, no, on, off, 1 and 0."""
    if isinstance(raw, bool):
        return raw
    value = BOOLEANS.get(str(raw).lower())
    if value is None:
        raise ValueError(f"{quote_value(raw)} is neither true nor false")
    return value


def format_switch(value: bool) -> str:
    """A switch as true or false."""
    return "true" if value else "false"


def parse_number(raw: object) -> float:
    """A finite number that is not negative; whole numbers stay whole."""
    number = raw
    if isinstance(raw, str) and NUMBER.match(raw):
        number = float(raw) if "." in raw else int(raw)
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < math.inf:
        raise ValueError(f"{quote_value(raw)} is not a number of 0 or more")
    return number


def parse_duration(raw: object) -> float:
    """Seconds, from a number or from a duration in the format of Prometheus (`1m30s`)."""
    if isinstance(raw, str) and raw and (match := DURATION.match(raw)):
        return sum(int(count) * UNIT_MILLISECONDS[unit] for unit, count in match.groupdict().items() if count) / 1000
    try:
        return float(parse_number(raw))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{quote_value(raw)} is not a duration; write for example 30s, 1m30s or a number of seconds"
        ) from None


def format_duration(seconds: float) -> str:
    """Seconds as a duration in the format of Prometheus, exact to the millisecond."""
    rest = round(seconds * 1000)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, UNIT_MILLISECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def duration_type(minimum: float) -> ValueType:
    """The type of durations of at least `minimum` seconds."""

    def parse(raw: object) -> float:
        seconds = parse_duration(raw)
        if seconds < minimum:
            raise ValueError(f"{quote_value(raw)} is too short; the minimum is {format_duration(minimum)}")
        return seconds

    return ValueType("DURATION", parse, format_duration)


def whole_number_type(minimum: int) -> ValueType:
    """The type of whole numbers of at least `minimum`."""

    def parse(raw: object) -> int:
        with suppress(ValueError):
            number = parse_number(raw)
            if isinstance(number, int) and number >= minimum:
                return number
        raise ValueError(f"{quote_value(raw)} is not a whole number of {minimum} or more")

    return ValueType("NUMBER", parse)


def choice_type(*names: str, aliases: Mapping[str, str] | None = None) -> ValueType:
    """The type of a value with a few possible words; `aliases` maps other words to them."""

    def parse(raw: object) -> str:
        if isinstance(raw, str) and aliases:
            raw = aliases.get(raw.lower(), raw.lower())
        if raw not in names:
            raise ValueError(f"{quote_value(raw)} is not one of {', '.join(names)}")
        return str(raw)

    return ValueType("|".join(names), parse)


def parse_address(raw: object) -> str:
    """HOST:PORT; an empty host means every interface, and an IPv6 address is written in brackets."""
    text = parse_text(raw).strip()
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    sound = colon and port.isascii() and port.isdigit() and int(port) <= 65_535 and (bracketed or ":" not in host)
    if not sound or re.search(r"[\s/@]", text) or not is_host(host):
        raise ValueError(f"{quote_value(raw)} is not an address; write HOST:PORT, :PORT or [IPv6]:PORT")
    return text


def parse_optional_address(raw: object) -> str:
    """An address or an empty text."""
    return "" if raw == "" else parse_address(raw)


def parse_mode(raw: object) -> int:
    """File permissions in octal digits."""
    text = str(raw)
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError(f"{quote_value(raw)} are not file permissions; write three octal digits, in a file in quotes")
    return int(text, 8)


def parse_optional_choice(*names: str) -> Callable[[object], str]:
    """A parser for one of a few words or an empty text."""
    one_of = choice_type(*names).parse
    return lambda raw: "" if raw == "" else str(one_of(raw))


def parse_addresses(raw: object) -> tuple[str, ...]:
    """One address, several separated by commas, or a list of them."""
    items = raw if isinstance(raw, list | tuple) else parse_text(raw).split(",")
    addresses = tuple(parse_address(item) for item in items)
    if len(set(addresses)) != len(addresses) or not addresses:
        raise ValueError("an address is given twice" if addresses else "the list of addresses is empty")
    return addresses


def parse_regex(raw: object) -> re.Pattern[str]:
    """A regular expression that must match the whole text, as in Prometheus."""
    text = parse_text(raw)
    try:
        plain = re.compile(text)
        return re.compile(rf"\A(?:{LEADING_FLAGS.sub('', text)})\Z", plain.flags)
    except re.error as error:
        raise ValueError(f"{quote_value(raw)} is not a regular expression: {error}") from None


def format_regex(pattern: re.Pattern[str]) -> str:
    """The pattern as it was written."""
    return pattern.pattern.removeprefix(r"\A(?:").removesuffix(r")\Z")


def parse_readable_file(raw: object) -> Path:
    """A readable file; not a pipe, because it is read again at each reload."""
    path = Path(parse_text(raw))
    mode = get_file_mode(path, str(path))
    if stat.S_ISFIFO(mode):
        raise ValueError(f"{path} is a pipe, which can be read only once; give a regular file")
    return check_readable(path, mode)


def parse_secret_file(raw: object, written: str = "") -> Path:
    """A file or pipe with a secret. A text that is not a path may be the secret itself, so errors do not repeat it."""
    path = Path(parse_text(raw))
    written = written or str(raw)
    is_path = "/" in written and (path.parent.is_dir() or PLAIN_PATH.match(written))
    mode = get_file_mode(
        path, str(path) if is_path else "with this name (not shown, because it may be the secret itself)"
    )
    return path if stat.S_ISFIFO(mode) and os.access(path, os.R_OK) else check_readable(path, mode)


def get_file_mode(path: Path, shown: str) -> int:
    """The type and permissions of a file. Raises ValueError if it does not exist or cannot be reached."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"the file {shown} does not exist") from None
    except OSError as error:
        raise ValueError(f"the file {shown} cannot be reached: {error.strerror}") from None


def check_readable(path: Path, mode: int) -> Path:
    """Return the path of a regular file that this user can read. Raises ValueError for any other."""
    if not stat.S_ISREG(mode):
        raise ValueError(
            f"{path} is a {'folder' if stat.S_ISDIR(mode) else 'device or socket'}; give the name of a file"
        )
    if not os.access(path, os.R_OK):
        raise ValueError(f"the file {path} cannot be read by this user; check its permissions")
    return path


def parse_folder(raw: object) -> Path:
    """A folder that exists."""
    path = Path(parse_text(raw))
    if not path.is_dir():
        raise ValueError(f"the folder {path} does not exist")
    return path


def parse_writable_file(raw: object) -> Path:
    """A file that the exporter writes: its folder must exist and be writable."""
    path = Path(parse_text(raw))
    if path.is_dir() or not path.name:
        raise ValueError(f"{path} is a folder; give the name of a file in it")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"the folder {path.parent} does not exist or cannot be written by this user")
    return path


def parse_output_file(raw: object) -> Path:
    """A file that the exporter writes, or `-` for standard output."""
    return Path("-") if Path(parse_text(raw)).name == "-" else parse_writable_file(raw)


def parse_buckets(raw: object) -> tuple[float, ...]:
    """Upper bounds of histogram buckets, ascending, without +Inf: numbers or durations."""
    if not isinstance(raw, list) or not raw:
        raise ValueError(f"{quote_value(raw)} is not a list of upper bounds; write for example [0.1, 1, 30s, 5m]")
    bounds = tuple(parse_duration(item) for item in raw)
    if any(low >= high for low, high in pairwise(bounds)):
        raise ValueError(f"the bounds {quote_value(raw)} are not in ascending order")
    return bounds


def format_buckets(bounds: tuple[float, ...]) -> str:
    """The bounds, separated by commas."""
    return ", ".join(f"{bound:g}" for bound in bounds)


TEXT = ValueType("TEXT", parse_text)
SWITCH = ValueType("true|false", parse_switch, format_switch)
ADDRESSES = ValueType("HOST:PORT", parse_addresses, ", ".join)
ADDRESS = ValueType("HOST:PORT", parse_optional_address)
MODE = ValueType("MODE", parse_mode, lambda mode: f"{mode:03o}")
REGEX = ValueType("REGEX", parse_regex, format_regex)
READABLE_FILE = ValueType("FILE", parse_readable_file, is_path=True)
SECRET_FILE = ValueType("FILE", parse_secret_file, is_path=True)
FOLDER = ValueType("FOLDER", parse_folder, is_path=True)
WRITABLE_FILE = ValueType("FILE", parse_writable_file, is_path=True)
OUTPUT_FILE = ValueType("FILE", parse_output_file, is_path=True)
BUCKETS = ValueType("[BOUND, ...]", parse_buckets, format_buckets)
