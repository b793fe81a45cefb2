"""Building HTML: text is escaped, elements made by `tag` are not."""

from __future__ import annotations

import base64
import hashlib
from html import escape


class Markup(str):
    """Text that is HTML already and needs no escaping."""

    __slots__ = ()


VOID_ELEMENTS = frozenset({"meta", "link", "br", "img"})


def tag(name: str, /, *content: str, **attributes: str | bool) -> Markup:
    """An element. Text and attributes are escaped, nested elements are not; write `class_` for the attribute class."""
    formatted = "".join(format_attribute(key, value) for key, value in attributes.items())
    start = f"<{name}{formatted}>"
    return Markup(start if name in VOID_ELEMENTS else f"{start}{join(*content)}</{name}>")


def format_attribute(key: str, value: str | bool) -> str:
    """An attribute with a leading space; True is written without a value, False is left out."""
    name = key.rstrip("_").replace("_", "-")
    if isinstance(value, bool):
        return f" {name}" if value else ""
    return f' {name}="{escape(value)}"'


def join(*content: str) -> Markup:
    """Concatenate text and elements; text is escaped."""
    return Markup("".join(piece if isinstance(piece, Markup) else escape(piece) for piece in content))


def hash_style(style: str) -> str:
    """The hash by which a Content-Security-Policy allows an inline style sheet."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() + "'"
