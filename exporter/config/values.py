"""How a value is written, in a flag, a variable or the file: one form for each kind of value.

Parsing takes text or what YAML made of it and raises ValueError, whose message says what to write instead.
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

MILLISECONDS = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,9}}){unit})?" for unit in MILLISECONDS) + r"\Z")
NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?\Z")
LEADING_FLAGS = re.compile(r"\A\(\?[aiLmsux]+\)")
PLAIN_PATH = re.compile(r"/?(?:[a-z0-9._-]{1,32}/)+[a-z0-9._-]{1,32}\Z")
SWITCHES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of value: how it is named in help, read, and shown again."""

    metavar: str
    parse: Callable[[object], Any]
    show: Callable[[Any], str] = str
    is_path: bool = False


def quote(raw: object) -> str:
    """What was written, as an error may repeat it: short, and without what stands before an @."""
    text = re.sub(r"//.*@", "//***@", str(raw), flags=re.DOTALL)
    short = text if len(text) <= 60 else text[:57] + "..."
    return repr(short) if isinstance(raw, str) else short


def parse_text(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError(f"{quote(raw)} is not text; put it in quotes")  # noqa: TRY004 - one type for all callers
    return raw


def parse_switch(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    value = SWITCHES.get(str(raw).lower())
    if value is None:
        raise ValueError(f"{quote(raw)} is neither true nor false; write one of them")
    return value


def show_switch(value: bool) -> str:
    return "true" if value else "false"


def parse_number(raw: object) -> float:
    """A finite number that is not negative; whole numbers stay whole."""
    number = raw
    if isinstance(raw, str) and NUMBER.match(raw):
        number = float(raw) if "." in raw else int(raw)
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < math.inf:
        raise ValueError(f"{quote(raw)} is not a number of 0 or more")
    return number


def parse_duration(raw: object) -> float:
    """Seconds, from a number of them or as Prometheus writes durations (`1m30s`)."""
    if isinstance(raw, str) and raw and (match := DURATION.match(raw)):
        return sum(int(count) * MILLISECONDS[unit] for unit, count in match.groupdict().items() if count) / 1000
    try:
        return float(parse_number(raw))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{quote(raw)} is not a duration; write for example 30s, 1m30s or a number of seconds"
        ) from None


def show_duration(seconds: float) -> str:
    """The duration in days and smaller units, as Prometheus reads it; exact to the millisecond."""
    rest = round(seconds * 1000)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, MILLISECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def duration(minimum: float) -> Form:
    """Durations of at least `minimum` seconds."""

    def parse(raw: object) -> float:
        seconds = parse_duration(raw)
        if seconds < minimum:
            raise ValueError(f"{quote(raw)} is too short; the least is {show_duration(minimum)}")
        return seconds

    return Form("DURATION", parse, show_duration)


def whole(minimum: int) -> Form:
    """Whole numbers of at least `minimum`."""

    def parse(raw: object) -> int:
        with suppress(ValueError):
            number = parse_number(raw)
            if isinstance(number, int) and number >= minimum:
                return number
        raise ValueError(f"{quote(raw)} is not a whole number of {minimum} or more")

    return Form("NUMBER", parse)


def choice(*names: str, aliases: Mapping[str, str] | None = None) -> Form:
    """One of a few words, or another word for one of them."""

    def parse(raw: object) -> str:
        if isinstance(raw, str) and aliases:
            raw = aliases.get(raw.lower(), raw.lower())
        if raw not in names:
            raise ValueError(f"{quote(raw)} is none of {', '.join(names)}")
        return str(raw)

    return Form("|".join(names), parse)


def parse_address(raw: object) -> str:
    """HOST:PORT, where an empty host means every interface and an IPv6 address stands in brackets."""
    text = parse_text(raw).strip()
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    sound = colon and port.isascii() and port.isdigit() and int(port) <= 65_535 and (bracketed or ":" not in host)
    if not sound or re.search(r"[\s/@]", text):
        raise ValueError(f"{quote(raw)} is not an address; write HOST:PORT, :PORT or [IPv6]:PORT")
    return text


def parse_optional_address(raw: object) -> str:
    """An address, or nothing."""
    return "" if raw == "" else parse_address(raw)


def parse_mode(raw: object) -> int:
    """Permissions of a file, in octal digits."""
    text = str(raw)
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError(f"{quote(raw)} are no permissions; write three octal digits, in quotes in the file")
    return int(text, 8)


def parse_optional_choice(*names: str) -> Callable[[object], str]:
    """One of a few words, or nothing."""
    one_of = choice(*names).parse
    return lambda raw: "" if raw == "" else str(one_of(raw))


def parse_addresses(raw: object) -> tuple[str, ...]:
    """One address, several separated by commas, or a list of them."""
    items = raw if isinstance(raw, list | tuple) else parse_text(raw).split(",")
    addresses = tuple(parse_address(item) for item in items)
    if len(set(addresses)) != len(addresses) or not addresses:
        raise ValueError("an address is listed twice" if addresses else "the list of addresses is empty")
    return addresses


def parse_url_path(raw: object) -> str:
    text = parse_text(raw)
    if (
        not re.fullmatch(r"/[A-Za-z0-9/_.~-]*", text)
        or text.startswith("/-/")
        or text in ("/diagnosis", "/sources", "/config", "/tries")
    ):
        raise ValueError(f"{quote(raw)} is not a path that is free; write for example /metrics")
    return text


def parse_regex(raw: object) -> re.Pattern[str]:
    """A regular expression that matches whole ids only, as Prometheus' do."""
    text = parse_text(raw)
    try:
        plain = re.compile(text)
        return re.compile(rf"\A(?:{LEADING_FLAGS.sub('', text)})\Z", plain.flags)
    except re.error as error:
        raise ValueError(f"{quote(raw)} is not a regular expression: {error}") from None


def show_regex(pattern: re.Pattern[str]) -> str:
    return pattern.pattern.removeprefix(r"\A(?:").removesuffix(r")\Z")


def parse_readable_file(raw: object) -> Path:
    """A file that is read now and perhaps again: a pipe will not do."""
    path = Path(parse_text(raw))
    mode = find_mode(path, str(path))
    if stat.S_ISFIFO(mode):
        raise ValueError(f"{path} is a pipe, which can be read only once; give the name of a file")
    return check_readable(path, mode)


def parse_secret_file(raw: object, written: str = "") -> Path:
    """A file of a secret, or a pipe. What was written and is no path may be the secret itself: it is not repeated."""
    path = Path(parse_text(raw))
    written = written or str(raw)
    is_path = "/" in written and (path.parent.is_dir() or PLAIN_PATH.match(written))
    mode = find_mode(path, str(path) if is_path else "of this name (it is not shown, as it may be the secret itself)")
    return path if stat.S_ISFIFO(mode) and os.access(path, os.R_OK) else check_readable(path, mode)


def find_mode(path: Path, shown: str) -> int:
    """What kind of file it is. Raises ValueError with the reason where there is none, or none that can be seen."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"there is no file {shown}") from None
    except OSError as error:
        raise ValueError(f"the file {shown} cannot be reached: {error.strerror}") from None


def check_readable(path: Path, mode: int) -> Path:
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is a {'folder' if stat.S_ISDIR(mode) else 'device or socket'}; give a file's name")
    if not os.access(path, os.R_OK):
        raise ValueError(f"the file {path} is not readable by this user")
    return path


def parse_folder(raw: object) -> Path:
    path = Path(parse_text(raw))
    if not path.is_dir():
        raise ValueError(f"there is no folder {path}")
    return path


def parse_own_file(raw: object) -> Path:
    """A file of ours: it need not exist, its folder must."""
    path = Path(parse_text(raw))
    if path.is_dir() or not path.name:
        raise ValueError(f"{path} is a folder; give the name of a file in it")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"the folder {path.parent} does not exist or is not writable by this user")
    return path


def parse_buckets(raw: object) -> tuple[float, ...]:
    """Upper bounds, ascending, without +Inf: numbers or durations."""
    items = raw if isinstance(raw, list) else None
    if not items:
        raise ValueError(f"{quote(raw)} is not a list of upper bounds; write for example [0.1, 1, 30s, 5m]")
    bounds = tuple(parse_duration(item) for item in items)
    if any(low >= high for low, high in pairwise(bounds)):
        raise ValueError(f"the bounds {quote(raw)} do not ascend")
    return bounds


def show_buckets(bounds: tuple[float, ...]) -> str:
    return ", ".join(f"{bound:g}" for bound in bounds)


TEXT = Form("TEXT", parse_text)
SWITCH = Form("true|false", parse_switch, show_switch)
ADDRESSES = Form("HOST:PORT", parse_addresses, ", ".join)
ADDRESS = Form("HOST:PORT", parse_optional_address)
MODE = Form("MODE", parse_mode, lambda mode: f"{mode:03o}")
URL_PATH = Form("PATH", parse_url_path)
REGEX = Form("REGEX", parse_regex, show_regex)
READABLE_FILE = Form("FILE", parse_readable_file, is_path=True)
SECRET_FILE = Form("FILE", parse_secret_file, is_path=True)
FOLDER = Form("FOLDER", parse_folder, is_path=True)
OWN_FILE = Form("FILE", parse_own_file, is_path=True)
BUCKETS = Form("[BOUND, ...]", parse_buckets, show_buckets)
