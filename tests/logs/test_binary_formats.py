"""What the decoders of W&B's and TensorBoard's files promise: what was written comes back, what is damaged is counted."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import struct

import numpy as np
import pytest
from encoded import event_file, event_record, field, wandb_file, wandb_record
from hypothesis import given
from hypothesis import strategies as st

from planner.logs import tfrecord, wire
from planner.logs.detect import claims_of
from planner.logs.source import Source

scalars = st.tuples(
    st.floats(0, 4e9), st.integers(-(2**63), 2**63 - 1), st.text(max_size=300), st.floats(width=32)
)  # fmt: skip


def read(path):
    (claim,) = claims_of(Source.of(str(path)))
    log = claim.reader.read(claim.parts)
    return list(log.segments), log.skipped


@given(st.lists(scalars, max_size=20))
def test_every_scalar_event_comes_back(events):
    data = event_file(events)
    found = [tfrecord.event(record) for record in tfrecord.records(data)][1:]
    assert len(found) == len(events)
    for (time, step, values), (wanted_time, wanted_step, tag, value) in zip(found, events, strict=True):
        assert (time, step, values[0].tag) == (wanted_time, wanted_step, tag)
        np.testing.assert_equal(values[0].scalar, value)


@given(st.binary(max_size=400))
def test_bytes_that_are_no_event_are_a_wire_error_or_an_event(data):
    with contextlib.suppress(wire.WireError):
        tfrecord.event(data)
    with contextlib.suppress(EOFError, tfrecord.DamagedError):
        list(tfrecord.records(data))


@given(st.integers(0, 2**64 - 1))
def test_varints_come_back(value):
    assert wire.varint(field(1, value)[1:], 0)[0] == value


def test_the_checksum_is_crc32c_against_published():
    # RFC 3720, appendix B.4: the crc32c of 32 bytes of zeros is 0x8a9136aa.
    masked = tfrecord.masked_crc32c(bytes(32))
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    assert ((rotated << 15) | (rotated >> 17)) & 0xFFFFFFFF == 0x8A9136AA


@pytest.mark.parametrize(
    ("kind", "body", "value"),
    [
        (1, field(5, struct.pack("<f", 2.5)), 2.5),
        (1, field(4, struct.pack("<f", 2.5)), 2.5),
        (2, field(4, struct.pack("<d", 2.5)), 2.5),
        (2, field(6, struct.pack("<d", 2.5)), 2.5),
        (9, field(4, struct.pack("<q", -3)), -3),
        (3, field(7, b"\x07"), 7),
        (9, field(10, 7), 7),
        (14, field(4, b"\x20\x40"), 2.5),
        (19, field(4, struct.pack("<e", 2.5)), 2.5),
    ],
)
def test_scalars_written_as_tensors_are_read(kind, body, value):
    tensor = field(1, kind) + field(2, b"") + body
    data = field(1, 7.0) + field(2, 3) + field(5, field(1, field(1, "loss") + field(8, tensor)))
    assert tfrecord.event(data) == (7.0, 3, [tfrecord.Summary("loss", value)])


def test_an_event_file_cut_anywhere_gives_the_events_before_the_cut(tmp_path):
    whole = event_file([(1e9 + step, step, "train/loss", 3.0 - step / 10) for step in range(5)])
    path = tmp_path / "events.out.tfevents.1.host"
    for cut in range(120, len(whole)):
        path.write_bytes(whole[:cut])
        segments, skipped = read(tmp_path)
        steps = segments[0].history["train/loss"].step.tolist()
        assert steps == list(range(len(steps))) and len(steps) < 5
        boundary = len(event_file([(1e9, s, "train/loss", 3.0) for s in range(len(steps))]))
        assert skipped == ({"a last event cut in half": 1} if cut != boundary else {})


def test_a_damaged_length_ends_an_event_file_and_is_counted(tmp_path):
    """Without the checksum a wrong length would make garbage of every record after it."""
    whole = event_file([(1e9 + step, step, "train/loss", 3.0) for step in range(5)])
    start = len(event_file([(1e9, step, "train/loss", 3.0) for step in range(3)]))
    path = tmp_path / "events.out.tfevents.1.host"
    for bit in range(8 * 12):
        broken = bytearray(whole)
        broken[start + bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(broken))
        (segment,), skipped = read(tmp_path)
        assert segment.history["train/loss"].step.tolist() == [0, 1, 2] and list(segment.history) == ["train/loss"]
        assert skipped == {"the rest of an event file after a damaged record": 1}


def test_hyperparameters_and_status_that_add_hparams_writes_are_read(tmp_path):
    def value(text):
        return field(2, field(3, text)) if isinstance(text, str) else field(2, field(2, float(text)))

    def plugin(tag, content):
        data = field(1, tag) + field(9, field(1, field(1, "hparams") + field(2, content)))
        return event_record(field(1, 1e9) + field(5, field(1, data)))

    pairs = {"d_model": 256.0, "optimizer": "adamw"}
    start = field(3, b"".join(field(1, field(1, key) + value(one)) for key, one in pairs.items()))
    inner = tmp_path / "run" / "1700000000.5"
    inner.mkdir(parents=True)
    (tmp_path / "run" / "events.out.tfevents.1.h").write_bytes(event_file([(1e9, 1, "train/loss", 3.0)]))
    text = event_file([(1e9, 0, "hp_metric", 1.0)]) + plugin("_hparams_/session_start_info", start)
    (inner / "events.out.tfevents.2.h").write_bytes(text + plugin("_hparams_/session_end_info", field(4, field(1, 1))))
    (segment,), _ = read(tmp_path)
    assert segment.config == pairs and segment.status == "finished" and list(segment.history) == ["train/loss"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed: pip install tensorboard"
)
def test_tensorboards_own_writer_and_reader_agree_with_ours(tmp_path):
    """The writer behind torch's SummaryWriter, and the accumulator that TensorBoard shows."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(tmp_path))
    rng = np.random.default_rng(0)
    for step in range(500):
        for tag in ("train/loss", "x" * 200):
            value = Summary.Value(tag=tag, simple_value=float(rng.normal()) if step % 50 else math.nan)
            writer.add_event(Event(wall_time=1e9 + step / 3, step=step * 12345, summary=Summary(value=[value])))
    writer.close()
    accumulator = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0}).Reload()
    (segment,), skipped = read(tmp_path)
    assert not skipped and set(segment.history) == set(accumulator.Tags()["scalars"])
    for tag, ours in segment.history.items():
        theirs = accumulator.Scalars(tag)
        np.testing.assert_array_equal(ours.step, [one.step for one in theirs])
        np.testing.assert_array_equal(ours.value, [one.value for one in theirs])
        np.testing.assert_array_equal(ours.time, [one.wall_time for one in theirs])


def _counts_steps(name: str) -> bool:
    """Whether a lab means its steps by this name: the reader takes them for the row's own."""
    return any(word in name.casefold() for word in ("step", "iter"))


rows = st.lists(
    st.dictionaries(
        st.text(min_size=1, max_size=20).filter(lambda name: name[0] != "_" and not _counts_steps(name)), st.floats()
    ),
    max_size=5,
)


@given(rows, st.integers(0, 70_000))
def test_a_wandb_file_gives_back_its_rows_across_blocks(tmp_path_factory, rows, size):
    from planner.logs.readers.wandb_offline import WandbOffline

    folder = tmp_path_factory.mktemp("wandb")
    records = [
        wandb_record(5, {"notes": "x" * size}),
        *(wandb_record(2, {**row, "_step": at}) for at, row in enumerate(rows)),
    ]
    path = folder / "run-abcd1234.wandb"
    path.write_bytes(wandb_file(records))
    reader = WandbOffline()
    log = reader.read(reader.claim(Source.of(str(folder))))
    (segment,) = log.segments
    assert segment.key == "abcd1234" and segment.config == {"notes": "x" * size} and not log.skipped
    for at, row in enumerate(rows):
        for name, value in row.items():
            if name in segment.history:
                one = segment.history[name]
                np.testing.assert_equal(one.value[one.step == at][0], value)


def test_a_wandb_file_cut_short_keeps_what_came_before(tmp_path):
    records = [wandb_record(2, {"train/loss": 3.0 - at, "_step": at, "pad": "x" * 9000}) for at in range(8)]
    whole = wandb_file(records)
    path = tmp_path / "run-abcd1234.wandb"
    path.write_bytes(whole[:-10])
    (segment,), skipped = read(tmp_path)
    assert segment.history["train/loss"].step.tolist() == list(range(7)) and skipped == {"a last record cut in half": 1}


def test_a_damaged_block_of_a_wandb_file_costs_its_records_only(tmp_path):
    records = [wandb_record(2, {"train/loss": 3.0 - at, "_step": at, "pad": "x" * 9000}) for at in range(20)]
    data = bytearray(wandb_file(records))
    data[40_000] ^= 0xFF  # in the second block of 32 KiB
    path = tmp_path / "run-abcd1234.wandb"
    path.write_bytes(bytes(data))
    (segment,), skipped = read(tmp_path)
    steps = segment.history["train/loss"].step.tolist()
    assert 12 <= len(steps) < 20 and steps[:3] == [0, 1, 2] and steps[-1] == 19
    assert skipped["a damaged block of a .wandb file"] == 1


def test_a_step_of_its_own_goes_before_wandbs_count_of_calls(tmp_path):
    records = [wandb_record(2, {"_step": at, "trainer/global_step": 50 * at, "train/loss": 3.0}) for at in range(3)]
    records.append(wandb_record(2, {"_step": 3, "val/loss": 2.9}))
    (tmp_path / "run-abcd1234.wandb").write_bytes(wandb_file(records))
    (segment,), _ = read(tmp_path)
    assert segment.history["train/loss"].step.tolist() == [0, 50, 100]
    assert segment.history["val/loss"].step.tolist() == [100]
    assert "trainer/global_step" not in segment.history
