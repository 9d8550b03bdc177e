"""The text that a local lab trains on: bytes of files, split by file, pinned by a hash of what was read."""

from __future__ import annotations

import hashlib
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError, WorldError
from planner.text import slug

VALIDATION_SHARE = 0.05  # of the files, by their hash
LEAST_BYTES = 10_000  # of text: below it there is nothing to split
SEPARATOR = b"\0"  # between files; a byte that text does not hold
PACKED = (".gz", ".bz2", ".xz", ".zip", ".png", ".jpg", ".pdf", ".so", ".pyc", ".npz", ".parquet")

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Corpus:
    """Bytes `(n_bytes,)` to train on and to be judged by; no file, nor two copies of one, lies in both.

    `name` carries the hash of everything that was read: losses of different texts have different names, and runs with
    different names are never pooled.
    """

    name: str
    sha256: str
    n_files: int
    train: Bytes
    validation: Bytes


def read_corpus(path: str | Path | None = None) -> Corpus:
    """The corpus in a text file or in a folder's files; None reads the Python standard library's own sources (*.py).

    A file is held out when the first eight bytes of its SHA-256 fall in the lowest twentieth, so copies stay together; copies
    are read once. A single file is cut instead: its last twentieth is held out. Hidden files, packed files, files with zero
    bytes and links that leave the folder are left out. Raises InputError for a path that is not there or holds too little
    text, WorldError for a disk that fails.
    """
    if path is None:
        root = Path(sysconfig.get_path("stdlib"))
        return _split("python-stdlib", _contents(root, _standard_library(root)), str(root))
    root = Path(path)
    if root.is_file():
        return _cut(root)
    if not root.is_dir():
        raise InputError(f"--corpus {path}: no such file or folder", "give a text file, or a folder of text files")
    return _split(slug(root.resolve().name), _contents(root, _texts(root)), str(root))


def _standard_library(root: Path) -> Iterator[Path]:
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).parts
        if not {"site-packages", "dist-packages", "__pycache__"} & set(parts):
            yield file


def _texts(root: Path) -> Iterator[Path]:
    real = root.resolve()
    for file in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(root).parts)
        text = file.is_file() and not hidden and not file.name.lower().endswith(PACKED)
        if text and file.resolve().is_relative_to(real):
            yield file


def _contents(root: Path, files: Iterator[Path]) -> Iterator[bytes]:
    """Each file's content once, in the order of names; no content with zero bytes, which is no text."""
    seen: set[bytes] = set()
    for file in files:
        content = _read(file)
        digest = hashlib.sha256(content).digest()
        if content and SEPARATOR not in content and digest not in seen:
            seen.add(digest)
            yield content


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise WorldError(
            f"{file}: {error.strerror or error}", "check that it can be read, or give another --corpus"
        ) from None


def _split(name: str, contents: Iterator[bytes], source: str) -> Corpus:
    train: list[bytes] = []
    held: list[bytes] = []
    everything = hashlib.sha256()
    for content in contents:
        digest = hashlib.sha256(content).digest()
        everything.update(digest)
        low = int.from_bytes(digest[:8], "big") < VALIDATION_SHARE * 2**64
        (held if low else train).append(content + SEPARATOR)
    if sum(map(len, train)) + sum(map(len, held)) < LEAST_BYTES or not train:
        raise InputError(f"{source}: holds less than {LEAST_BYTES:,} bytes of text", "give more text with --corpus")
    if not held:  # few files: the one of lowest hash
        held = [train.pop(min(range(len(train)), key=lambda at: hashlib.sha256(train[at][:-1]).digest()))]
    if not train:
        raise InputError(f"{source}: holds one text file only", "give that file itself: it is cut in two then")
    return _corpus(name, everything.hexdigest(), len(train) + len(held), b"".join(train), b"".join(held))


def _cut(file: Path) -> Corpus:
    content = _read(file)
    if len(content) < LEAST_BYTES:
        raise InputError(f"{file}: holds less than {LEAST_BYTES:,} bytes of text", "give more text with --corpus")
    at = len(content) - int(VALIDATION_SHARE * len(content))
    return _corpus(slug(file.name), hashlib.sha256(content).hexdigest(), 1, content[:at], content[at:])


def _corpus(name: str, sha256: str, n_files: int, train: bytes, held: bytes) -> Corpus:
    return Corpus(
        f"{name}-{sha256[:10]}", sha256, n_files, np.frombuffer(train, np.uint8), np.frombuffer(held, np.uint8)
    )


def batch(text: Bytes, step: int, *, sequences: int, context_length: int, seed: int) -> Bytes:
    """The bytes of one step, `(sequences, context_length + 1)`: inputs and, one further on, what is to be foretold.

    Every pass over the text cuts it into windows from a start of its own and takes them in an order of its own, each once;
    both follow from (seed, pass) alone. `step` counts from 0.
    """
    n_windows = (text.size - context_length - 1) // context_length
    if n_windows < 1:
        raise InputError(f"{text.size:,} bytes of text are fewer than a context of {context_length:,}", "shorten it")
    first = step * sequences
    wanted = np.arange(first, first + sequences)
    passes, places = wanted // n_windows, wanted % n_windows
    starts = np.empty(sequences, np.int64)
    for one in np.unique(passes):
        offset, order = _pass(n_windows, context_length, seed, int(one))
        here = passes == one
        starts[here] = offset + order[places[here]] * context_length
    return text[starts[:, None] + np.arange(context_length + 1)]


_PASSES: dict[tuple[int, int, int, int], tuple[int, NDArray[np.int64]]] = {}


def _pass(n_windows: int, context_length: int, seed: int, number: int) -> tuple[int, NDArray[np.int64]]:
    """Start and order of the windows of one pass over the text; the last two are remembered."""
    key = (n_windows, context_length, seed, number)
    if key not in _PASSES:
        while len(_PASSES) > 1:
            _PASSES.pop(next(iter(_PASSES)))
        generator = np.random.default_rng([seed, number])
        _PASSES[key] = (int(generator.integers(context_length)), generator.permutation(n_windows))
    return _PASSES[key]


def windows(text: Bytes, *, tokens: int, context_length: int) -> Bytes:
    """The fixed windows of an evaluation, `(n, context_length + 1)`: evenly spaced, about `tokens` in all, never overlapping."""
    most = (text.size - 1) // context_length
    number = min(most, max(1, tokens // context_length))
    if number < 1:
        raise InputError(
            f"{text.size:,} bytes are held out, fewer than a context of {context_length:,}", "give more text"
        )
    starts = (np.arange(number) * most // number) * context_length
    return text[starts[:, None] + np.arange(context_length + 1)]
