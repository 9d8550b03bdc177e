"""Text from a user's files, made safe to show and to name files with."""

from __future__ import annotations

import hashlib
import re

# `user:password@` and the query parameters that trackers and object stores sign with.
_USER = re.compile(r"(?<=://)[^/?#\s]*@")
_SECRET = re.compile(
    r"(?i)([?&;](?:[^=&#\s]*(?:key|token|secret|password|passwd|signature|credential|sig|auth)[^=&#\s]*)=)[^&#\s]*"
)


def visible(text: str) -> str:
    """Control and direction characters, which a terminal or page would obey, as their escapes: \\x1b, \\n."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def short(text: str, most: int = 60) -> str:
    """A text that fits into one line of a message."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def slug(text: str, *, longest: int = 60, digits: int = 6) -> str:
    """A text as part of a file name: letters, digits, dots, dashes; a hash of `digits` tells apart what that would merge."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:longest]
    if plain and plain == text:
        return plain
    return f"{plain or 'x'}-{hashlib.sha256(text.encode('utf-8')).hexdigest()[:digits]}"


def scrubbed(text: str) -> str:
    """A URI, or a text that holds URIs, without user names, passwords and signed parameters."""
    return _SECRET.sub(r"\1***", _USER.sub("***@", text))
