"""The binary formats of trackers, written byte by byte: for tests that damage them, and where the packages are not there."""

from __future__ import annotations

import json
import struct
import zlib

from planner.logs.tfrecord import masked_crc32c

_BLOCK = 1 << 15


def varint(value: int) -> bytes:
    """A varint of the protobuf wire format."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | float | bytes | str) -> bytes:
    """One field: an int as a varint, a float as eight bytes, anything else with its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def wandb_record(kind: int, items: dict[str, object]) -> bytes:
    """A Record of W&B whose message holds items of key and JSON: history 2, summary 3, config 5."""
    return field(kind, b"".join(field(1, field(1, key) + field(16, json.dumps(value))) for key, value in items.items()))


def wandb_file(records: list[bytes]) -> bytes:
    """A .wandb file: the header, and records in pieces that never cross a block of 32 KiB."""
    out = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
    for record in records:
        first, rest = True, record
        while first or rest:
            room = _BLOCK - len(out) % _BLOCK
            if room < 7:
                out += b"\0" * room
                continue
            piece, rest = rest[: room - 7], rest[room - 7 :]
            kind = (1 if not rest else 2) if first else (4 if not rest else 3)
            check = zlib.crc32(piece, zlib.crc32(bytes([kind])))
            out += struct.pack("<IHB", check, len(piece), kind) + piece
            first = False
    return out


def event_record(data: bytes) -> bytes:
    """A record of a TensorBoard event file."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))


def event_file(events: list[tuple[float, int, str, float]]) -> bytes:
    """An event file of scalars: time, step, tag, value."""
    out = event_record(field(1, 1.0) + field(3, "brain.Event:2"))
    for time, step, tag, value in events:
        scalar = field(1, tag) + varint(2 << 3 | 5) + struct.pack("<f", value)
        out += event_record(field(1, time) + field(2, step) + field(5, field(1, scalar)))
    return out
