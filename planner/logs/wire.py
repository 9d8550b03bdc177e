"""The wire format of protocol buffers, as far as logs need it: the fields of one message, without its schema.

https://protobuf.dev/programming-guides/encoding: a message is a row of tag (number << 3 | type) and value, where type 0 is a
varint, 1 eight bytes, 2 a length and that many bytes, 5 four bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

Value = int | bytes  # a varint; or the bytes of any other field


class WireError(ValueError):
    """Bytes that are no message."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The varint at `at` and where the next value starts."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise WireError("a varint without an end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Number and value of each field, in order; WireError for bytes that are no message."""
    at, size = 0, len(data)
    while at < size:
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(data, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            length, at = varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise WireError(f"a field of type {kind}")
        if at + length > size:
            raise WireError("a field that is cut short")
        yield tag >> 3, data[at : at + length]
        at += length


def first(data: bytes, wanted: int) -> Value | None:
    """The value of the first field of that number."""
    return next((value for number, value in fields(data) if number == wanted), None)


def text(value: Value | None) -> str:
    """A string field; "" when it is missing."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def double(value: Value | None) -> float | None:
    """A field of eight bytes as a float."""
    return float(struct.unpack("<d", value)[0]) if isinstance(value, bytes) and len(value) == 8 else None


def signed(value: Value | None) -> int:
    """A varint as a signed number of 64 bits; 0 when it is missing."""
    found = value if isinstance(value, int) else 0
    found &= 0xFFFFFFFFFFFFFFFF
    return found - (1 << 64) if found >> 63 else found


__all__ = ["Value", "WireError", "double", "fields", "first", "signed", "text", "varint"]
