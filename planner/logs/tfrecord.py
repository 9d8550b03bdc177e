"""Records of a TensorBoard event file, and the scalars in them: without TensorFlow, TensorBoard or a protobuf package.

A record is `length (8 bytes), masked crc32c of it (4), data, masked crc32c of the data (4)` (tensorflow/core/lib/io/
record_writer.h); its data is an `Event` (tensorflow/core/util/event.proto): wall_time = 1, step = 2, file_version = 3,
summary = 5, with `Summary.Value` (tensorflow/core/framework/summary.proto): tag = 1, simple_value = 2, tensor = 8, metadata = 9.
The crc of the length is checked, which finds damage and any other kind of file; that of the data is not: in Python it would take
longer than all the rest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from planner.logs import wire

_DOUBLE, _FLOAT, _HEADER = struct.Struct("<d"), struct.Struct("<f"), struct.Struct("<QI")
_CASTAGNOLI = 0x82F63B78
_DTYPES = {1: "<f", 2: "<d", 3: "<i", 9: "<q", 14: "<H", 19: "<e"}  # DT_BFLOAT16 is 14, DT_HALF 19 (types.proto)


class DamagedError(ValueError):
    """A record whose length does not agree with its checksum."""


@dataclass(frozen=True)
class Summary:
    """One value of an event: a scalar, or else what its text or plugin data says."""

    tag: str
    scalar: float | None = None
    text: str = ""
    plugin: str = ""
    content: bytes = b""


def _table() -> tuple[int, ...]:
    rows = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (_CASTAGNOLI if byte & 1 else 0)
        rows.append(byte)
    return tuple(rows)


_CRC = _table()


@lru_cache(maxsize=4096)
def masked_crc32c(data: bytes) -> int:
    """The crc32c of `data`, rotated and offset as in record files."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(data: bytes) -> Iterator[bytes]:
    """The data of each whole record; DamagedError at the first whose length is wrong, EOFError at one that is cut off."""
    at, size = 0, len(data)
    unpack, crc = _HEADER.unpack_from, masked_crc32c
    while at < size:
        if at + 12 > size:
            raise EOFError
        length, check = unpack(data, at)
        if check != crc(data[at : at + 8]):
            raise DamagedError
        start = at + 12
        at = start + length + 4
        if at > size:
            raise EOFError
        yield data[start : at - 4]


def event(data: bytes) -> tuple[float, int, list[Summary]]:
    """Wall time in seconds since 1970 UTC, step and values of one event; WireError for bytes that are none."""
    plain = _plain(data)
    if plain is not None:
        return plain
    time, step, found = 0.0, 0, []
    for number, value in wire.fields(data):
        if number == 1:
            time = wire.double(value) or 0.0
        elif number == 2:
            step = wire.signed(value)
        elif number == 5 and isinstance(value, bytes):
            found += [_summary(one) for inner, one in wire.fields(value) if inner == 1 and isinstance(one, bytes)]
    return time, step, found


def _plain(data: bytes) -> tuple[float, int, list[Summary]] | None:
    """The event that most are: time, step, and one value with a short tag and a float; None for any other."""
    # 09 time, 10 step, 2a length 0a length 0a length tag 15 float: SummaryWriter.add_scalar of torch and tensorboardX.
    size = len(data)
    if size < 24 or data[0] != 0x09 or data[9] != 0x10:
        return None
    step, shift, at = 0, 0, 10
    while True:
        byte = data[at]
        at += 1
        step |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 56 or at + 8 > size:
            return None
    rest = size - at - 2  # bytes of the summary
    if at + 6 > size or data[at] != 0x2A or data[at + 1] != rest or data[at + 2] != 0x0A or data[at + 3] != rest - 2:
        return None
    length = data[at + 5]
    if data[at + 4] != 0x0A or length > 127 or rest != length + 9 or data[at + 6 + length] != 0x15:
        return None
    tag = _decoded(data[at + 6 : at + 6 + length])
    return _DOUBLE.unpack_from(data, 1)[0], step, [Summary(tag, _FLOAT.unpack_from(data, size - 4)[0])]


@lru_cache(maxsize=4096)
def _decoded(tag: bytes) -> str:
    return tag.decode("utf-8", "replace")


def _summary(data: bytes) -> Summary:
    tag, scalar, tensor, plugin, content = "", None, None, "", b""
    for number, value in wire.fields(data):
        if not isinstance(value, bytes):
            continue
        if number == 1:
            tag = wire.text(value)
        elif number == 2 and len(value) == 4:
            scalar = _FLOAT.unpack(value)[0]
        elif number == 8:
            tensor = value
        elif number == 9:
            plugin, content = _plugin(value)
    words = ""
    if tensor is not None and scalar is None:
        scalar, words = _tensor(tensor)
    return Summary(tag, scalar, words, plugin, content)


def _plugin(metadata: bytes) -> tuple[str, bytes]:
    data = wire.first(metadata, 1)  # SummaryMetadata.plugin_data: plugin_name = 1, content = 2
    if not isinstance(data, bytes):
        return "", b""
    content = wire.first(data, 2)
    return wire.text(wire.first(data, 1)), content if isinstance(content, bytes) else b""


def _tensor(data: bytes) -> tuple[float | None, str]:
    """The one number, or the first text, of a TensorProto.

    tensorflow/core/framework/tensor.proto: dtype = 1, content = 4, float = 5, double = 6, int = 7, string = 8, int64 = 10.
    """
    found = dict[int, wire.Value]()
    for number, value in wire.fields(data):
        found.setdefault(number, value)
    if 8 in found:
        return None, wire.text(found[8])
    content = found.get(4)
    code = _DTYPES.get(wire.signed(found.get(1)))
    if isinstance(content, bytes) and content:
        if code is None or len(content) != struct.calcsize(code):
            return None, ""
        value = struct.unpack(code, content)[0]
        return float(_FLOAT.unpack(struct.pack("<I", value << 16))[0] if code == "<H" else value), ""
    for number, code in ((5, "<f"), (6, "<d")):
        packed = found.get(number)
        if isinstance(packed, bytes) and len(packed) == struct.calcsize(code):
            return float(struct.unpack(code, packed)[0]), ""
    for number in (7, 10):
        whole = found.get(number)
        if whole is not None:
            value, _ = wire.varint(whole, 0) if isinstance(whole, bytes) else (whole, 0)
            return float(wire.signed(value)), ""
    return None, ""


__all__ = ["DamagedError", "Summary", "event", "masked_crc32c", "records"]
