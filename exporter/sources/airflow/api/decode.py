"""From the bytes of a reply to what we use of it: what the objects in `objects/` have in common.

Each object declares the row as both releases send it (a struct whose fields are optional, because a release may leave
any field out or send null), the model that the readers use, and the conversion. Unknown fields are skipped without
being built, and unknown enum values stay text, so that a newer Airflow never breaks a page. Times are Unix seconds.

A page is decoded in one go. If that fails, because some field has a type that no release has sent so far, it is decoded
again row by row and field by field: a field that makes no sense is left out, and only a row without its ids is lost,
counted in `Page.lost`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from exporter.metrics.reading import ReaderError

T = TypeVar("T")
W = TypeVar("W", bound=msgspec.Struct)

Moment = datetime | None
Text = str | None
MAX_INTEGER = 2**53
"""Larger numbers make no sense in any field, and a float would not be exact."""
Integer = Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)] | None
"""Types of the fields of rows."""


class Envelope(msgspec.Struct):
    """What surrounds the rows of any list."""

    total_entries: Integer = None
    next_cursor: str | UnsetType | None = UNSET


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list."""

    rows: list[T]
    total: int | None = None
    """How many rows match in all (`total_entries`)."""
    cursor: str | None = None
    """Where the next page begins; None at the end of a keyset walk and where there is none."""
    keyset: bool = False
    """The server has keyset paging: its reply has `next_cursor`, which may be null."""
    lost: int = 0
    """Rows that could not be read at all."""


class RowDecoder(Generic[T]):
    """Decodes the pages of one kind of list: `key` names its rows, `struct` is a row, `convert` makes the model."""

    def __init__(self, key: str, struct: type[W], convert: Callable[[W], T]) -> None:
        self.key = key
        self._struct: type[Any] = struct
        self._convert: Callable[[Any], T] = convert
        fields = [(key, list[struct] | None, None)]  # type: ignore[valid-type]
        page = msgspec.defstruct(f"{struct.__name__}Page", fields, bases=(Envelope,))
        self._decoder: msgspec.json.Decoder[Envelope] = msgspec.json.Decoder(page)

    def decode(self, body: bytes) -> Page[T]:
        """Decode one page. Raises ReaderError (bad_reply)."""
        try:
            envelope = self._decoder.decode(body)
            rows: list[Any] | None = getattr(envelope, self.key)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return self._decode_leniently(body)
        if rows is None:
            raise ReaderError("bad_reply", f"the reply has no {self.key!r}: is this the API of an Airflow?")
        return _page(envelope, [self._convert(row) for row in rows])

    def _decode_leniently(self, body: bytes) -> Page[T]:
        reply = parse_object(body)
        raw_rows = reply.pop(self.key, None)
        if not isinstance(raw_rows, list):
            raise ReaderError("bad_reply", f"the reply has no {self.key!r}: is this the API of an Airflow?")
        rows = [row for raw in raw_rows if (row := salvage(self._struct, raw)) is not None]
        envelope = salvage(Envelope, reply) or Envelope()
        return _page(envelope, [self._convert(row) for row in rows], lost=len(raw_rows) - len(rows))


def salvage(struct: type[W], raw: object) -> W | None:
    """A row from the fields that have the right type; None where a required field has not."""
    if not isinstance(raw, dict):
        return None
    try:
        return msgspec.convert(raw, struct, strict=False)
    except msgspec.ValidationError:
        pass
    good: dict[str, object] = {}
    for field in msgspec.structs.fields(struct):
        if field.encode_name not in raw:
            continue
        try:
            good[field.name] = msgspec.convert(raw[field.encode_name], field.type, strict=False)
        except msgspec.ValidationError:
            continue
    try:
        return struct(**good)
    except TypeError:
        return None


def to_seconds(moment: datetime | None) -> float | None:
    """Unix seconds, exact to the microsecond; a time without an offset is UTC."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()


def parse_object(body: bytes) -> dict[str, Any]:
    """A reply as a JSON object. Raises ReaderError (bad_reply)."""
    # The standard parser also accepts NaN and broken UTF-8, which Airflow sends inside fields that we do not use.
    try:
        reply = json.loads(body.decode("utf-8", "replace"))
        # An escape such as "\ud800" may stand alone, and makes text that cannot be encoded.
        reply = json.loads(json.dumps(reply, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise ReaderError("bad_reply", f"the reply is not JSON, or was cut off: {error}") from error
    if not isinstance(reply, dict):
        raise ReaderError("bad_reply", f"the reply is a {type(reply).__name__}, not an object")
    return reply


def _page(envelope: Envelope, rows: list[T], lost: int = 0) -> Page[T]:
    cursor = envelope.next_cursor
    if cursor is UNSET:
        return Page(rows, envelope.total_entries, lost=lost)
    return Page(rows, envelope.total_entries, cursor or None, keyset=True, lost=lost)
