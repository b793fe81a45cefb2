"""HTML that is escaped unless it was made here."""

from __future__ import annotations

import base64
import hashlib
from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


VOID = frozenset({"meta", "link", "br"})


def tag(name: str, /, *content: str, **attributes: str | bool) -> Markup:
    """An element. Content and attributes are escaped, other elements are not; `class_` is class."""
    written = "".join(write_attribute(key, value) for key, value in attributes.items())
    start = f"<{name}{written}>"
    return Markup(start if name in VOID else f"{start}{join(*content)}</{name}>")


def write_attribute(key: str, value: str | bool) -> str:
    name = key.rstrip("_").replace("_", "-")
    if isinstance(value, bool):
        return f" {name}" if value else ""
    return f' {name}="{escape(value)}"'


def join(*content: str) -> Markup:
    """Pieces one after the other, escaped where they are not HTML already."""
    return Markup("".join(piece if isinstance(piece, Markup) else escape(piece) for piece in content))


def digest(style: str) -> str:
    """How a Content-Security-Policy names a style sheet that is part of the page."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() + "'"
