"""YAML of plain values that every reader takes for what they are: YAML 1.1 and 1.2, PyYAML, ruamel, Go."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

_BARE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_/.-]*")
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"))


def dump(value: object) -> str:
    """A document: mappings and lists as blocks, a text of several lines as it is read, every other text in quotes."""
    return "\n".join(_block(value)) + "\n"


def quoted(text: str) -> str:
    """A text in double quotes: what is not printable, or a break in any version of YAML, as its escape."""
    return '"' + "".join(_escaped(c) for c in text) + '"'


def _escaped(c: str) -> str:
    if c in '"\\':
        return "\\" + c
    if c.isprintable() and c != "\ufeff":
        return c
    code = ord(c)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _block(value: object) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [line for key, item in value.items() for line in _entry(f"{_key(str(key))}:", item)]
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return [line for item in value for line in _entry("-", item)]
    return [_flow(value)]


def _entry(head: str, item: object) -> list[str]:
    if isinstance(item, str) and _is_literal(item):
        body = item.removesuffix("\n").split("\n")
        return [f"{head} {'|' if item.endswith(chr(10)) else '|-'}", *(f"  {line}" if line else "" for line in body)]
    lines = _block(item)
    if isinstance(item, Mapping) and item and head == "-":
        return [f"- {lines[0]}", *(f"  {line}" for line in lines[1:])]
    if (isinstance(item, Mapping) or _is_list(item)) and item:
        return [head, *(f"  {line}" for line in lines)]
    return [f"{head} {lines[0]}"]


def _flow(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            text = repr(float(value))
            return text.replace("e", ".0e") if "e" in text and "." not in text else text  # YAML 1.1 wants the dot
        case str():
            return quoted(value)
    if isinstance(value, Mapping):
        return "{}"
    if _is_list(value):
        return "[]"
    raise TypeError(f"{type(value).__name__} has no YAML form")


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) and key.lower() not in _WORDS else quoted(key)


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_literal(text: str) -> bool:
    """Whether a literal block holds the text: several printable lines, the first not indented, at most one break at the end."""
    lines = text.removesuffix("\n").split("\n")
    printable = all(c.isprintable() and c != "\ufeff" for c in text.replace("\n", ""))
    return len(lines) > 1 and printable and bool(lines[0]) and lines[0][0] != " " and bool(lines[-1].strip())
