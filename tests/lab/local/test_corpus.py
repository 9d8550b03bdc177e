"""The corpus: split by file without a leak, pinned by a hash; batches follow from seed and step alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_plans import write_texts

from planner.errors import InputError
from planner.lab.local.corpus import SEPARATOR, batch, read_corpus, windows


def parts(text) -> set[bytes]:
    return {part for part in bytes(text).split(SEPARATOR) if part}


def test_every_file_is_in_training_or_validation_and_none_in_both(tmp_path):
    folder = write_texts(tmp_path / "texts")
    corpus = read_corpus(folder)
    everything = {file.read_bytes() for file in folder.iterdir()}
    assert parts(corpus.train) | parts(corpus.validation) == everything
    assert not parts(corpus.train) & parts(corpus.validation)
    assert parts(corpus.validation) and corpus.n_files == 40


def test_copies_of_a_file_are_read_once_so_none_leaks(tmp_path):
    folder = write_texts(tmp_path / "texts")
    before = read_corpus(folder)
    for file in list(folder.iterdir()):
        (folder / f"copy of {file.name}").write_bytes(file.read_bytes())
    after = read_corpus(folder)
    assert not parts(after.train) & parts(after.validation)
    assert (after.train.size, after.validation.size) == (before.train.size, before.validation.size)


def test_another_text_has_another_name_and_a_new_file_moves_no_other(tmp_path):
    folder = write_texts(tmp_path / "texts")
    before = read_corpus(folder)
    assert read_corpus(folder).name == before.name
    (folder / "zzz.txt").write_text("something new " * 50)
    after = read_corpus(folder)
    assert after.name != before.name
    assert parts(before.validation) <= parts(after.validation)


def test_what_is_no_text_or_lies_elsewhere_is_left_out(tmp_path):
    folder = write_texts(tmp_path / "texts")
    plain = read_corpus(folder)
    (folder / "packed.gz").write_bytes(b"x" * 2000)
    (folder / "binary").write_bytes(b"a\0b" * 500)
    (folder / ".hidden").write_text("secret " * 500)
    (tmp_path / "elsewhere.txt").write_text("outside " * 500)
    (folder / "link.txt").symlink_to(tmp_path / "elsewhere.txt")
    assert read_corpus(folder).sha256 == plain.sha256


def test_one_file_is_cut_in_two(tmp_path):
    file = tmp_path / "book.txt"
    file.write_bytes(bytes(range(1, 251)) * 100)
    corpus = read_corpus(file)
    assert bytes(corpus.train) + bytes(corpus.validation) == file.read_bytes()
    assert corpus.validation.size == 0.05 * 25_000


def test_the_default_is_the_standard_library():
    corpus = read_corpus()
    assert corpus.name.startswith("python-stdlib-")
    assert corpus.train.size > 5e6 and 0.01 < corpus.validation.size / corpus.train.size < 0.12
    assert b"class Decimal" in bytes(corpus.train) + bytes(corpus.validation)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such file or folder"),
        (lambda path: path.write_text("short"), "less than 10,000 bytes"),
        (lambda path: path.mkdir(), "less than 10,000 bytes"),
        (lambda path: (path.mkdir(), (path / "only.txt").write_text("word " * 4000)), "one text file only"),
    ],
)  # fmt: skip
def test_too_little_text_is_refused(tmp_path, make, words):
    make(tmp_path / "corpus")
    with pytest.raises(InputError, match=words):
        read_corpus(tmp_path / "corpus")


@settings(max_examples=50, deadline=None)
@given(
    size=st.integers(200, 3000), context=st.integers(2, 20), sequences=st.integers(1, 7), seed=st.integers(0, 2**31),
)  # fmt: skip
def test_a_pass_takes_every_window_once(size, context, sequences, seed):
    text = (np.arange(size) % 251).astype(np.uint8)
    place = np.arange(size)
    n_windows = (size - context - 1) // context
    steps = -(-2 * n_windows // sequences)
    taken = np.concatenate([
        batch(place, step, sequences=sequences, context_length=context, seed=seed) for step in range(steps)
    ])[: 2 * n_windows]  # fmt: skip
    assert (np.diff(taken) == 1).all()
    for one in (taken[:n_windows], taken[n_windows:]):
        starts = np.sort(one[:, 0])
        assert (np.diff(starts) == context).all() and 0 <= starts[0] < context
    again = batch(text, steps - 1, sequences=sequences, context_length=context, seed=seed)
    assert (again == batch(text, steps - 1, sequences=sequences, context_length=context, seed=seed)).all()


def test_seeds_take_other_orders():
    text = np.arange(5000)
    first, second = (batch(text, 0, sequences=8, context_length=16, seed=seed) for seed in (1, 2))
    assert (first != second).any()


@given(size=st.integers(10, 5000), tokens=st.integers(1, 6000), context=st.integers(1, 9))
def test_windows_of_an_evaluation_never_overlap(size, tokens, context):
    found = windows(np.arange(size), tokens=tokens, context_length=context)
    assert (np.diff(found[:, 0]) >= context).all() and found.max() < size
    assert len(found) == min((size - 1) // context, max(1, tokens // context))
