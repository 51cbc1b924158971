from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from dbbackup.exceptions import ProgramError
from dbbackup.streams import CHUNK_SIZE, IteratorReader, ProgramReader, PushReader, copy


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() <= before


def write_much(writer: BinaryIO) -> None:
    writer.writelines(bytes([number]) * 100_000 for number in range(100))


def test_reads_what_is_written() -> None:
    with PushReader(write_much) as reader:
        assert reader.read() == b"".join(bytes([number]) * 100_000 for number in range(100))


def test_small_writes_become_large_chunks() -> None:
    def produce(writer: BinaryIO) -> None:
        assert writer.writable()
        for _ in range(2 * CHUNK_SIZE // 1024 + 1):
            assert writer.write(memoryview(bytes(1024))) == 1024
            writer.flush()

    with PushReader(produce) as reader:
        assert [len(reader.read1()) for _ in range(4)] == [CHUNK_SIZE, CHUNK_SIZE, 1024, 0]


def test_a_stream_of_nothing() -> None:
    with PushReader(lambda writer: None) as reader:
        assert reader.read() == b""


def test_an_error_replaces_the_end() -> None:
    def produce(writer: BinaryIO) -> None:
        write_much(writer)
        raise ValueError("broken")

    with PushReader(produce) as reader, pytest.raises(ValueError, match="broken"):
        reader.read()


def test_the_writer_waits_for_the_reader() -> None:
    written = 0

    def produce(writer: BinaryIO) -> None:
        nonlocal written
        while True:
            written += writer.write(bytes(CHUNK_SIZE))

    with PushReader(produce) as reader:
        for _ in range(10):
            reader.read1()
    # Ten taken, two ready, one in hand; the writer was refused the next.
    assert written <= 13 * CHUNK_SIZE


def test_an_early_close_refuses_what_is_written() -> None:
    refused = threading.Event()

    def produce(writer: BinaryIO) -> None:
        try:
            while True:
                writer.write(bytes(CHUNK_SIZE))
        except BrokenPipeError:
            refused.set()
            raise

    reader = PushReader(produce)
    reader.read(1)
    reader.close()
    assert refused.is_set()


def test_a_producer_that_ignores_the_refusal_does_not_make_a_good_end() -> None:
    started = threading.Event()

    def produce(writer: BinaryIO) -> None:
        writer.write(bytes(CHUNK_SIZE))
        started.wait()
        writer.write(b"lost")

    with PushReader(produce) as reader:
        reader.read(1)
        reader.cancel()
        started.set()
        with pytest.raises(BrokenPipeError):
            reader.read()


def begun(source: BinaryIO) -> PushReader:
    """Return a reader whose producer copies from a source."""

    def produce(writer: BinaryIO) -> None:
        writer.write(bytes(CHUNK_SIZE))
        copy(source, writer.write)

    reader = PushReader(produce, source)
    reader.read(1)
    return reader


def test_close_ends_a_source_that_keeps_the_producer_waiting() -> None:
    source = ProgramReader(["sleep", "1000"])
    reader = begun(source)
    reader.close()
    assert source.closed


def test_close_forces_a_source_that_does_not_want_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dbbackup.streams.program.GRACE", 0.2)
    source = ProgramReader(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"])
    assert source.read(6) == b"ready\n"
    reader = begun(source)
    reader.close()
    assert source.closed


def test_the_error_of_the_source_passes_through() -> None:
    source = ProgramReader(["sh", "-c", "echo some; echo why >&2; exit 3"])
    with (
        PushReader(lambda writer: copy(source, writer.write), source) as reader,
        pytest.raises(ProgramError, match="why"),
    ):
        reader.read()


def test_close_closes_the_source() -> None:
    source = io.BytesIO(b"bytes")
    with PushReader(lambda writer: copy(source, writer.write), source) as reader:
        assert IteratorReader(reader).read() == b"bytes"
    assert source.closed
