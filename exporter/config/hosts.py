"""Host names in addresses and URLs."""

from __future__ import annotations


def is_host(name: str) -> bool:
    """Whether a name can be looked up at all: an empty part, or one of more than 63 characters, is an error."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return True
