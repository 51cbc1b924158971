from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from hypothesis import given
from hypothesis import strategies as st

from dbbackup.streams import CHUNK_SIZE, IteratorReader, StreamReader, cancel, chunks, copy, pull

PIECES = [b"first\n", b"", b"sec", b"ond\n", b"\n", b"no newline"]
WHOLE = b"".join(PIECES)


class Source(io.BytesIO):
    """A source that tells whether and how it was cancelled."""

    cancelled: bool | None = None

    def cancel(self, *, force: bool = False) -> None:
        self.cancelled = force


def failing(error: BaseException) -> Iterator[bytes]:
    yield b"some bytes"
    raise error


def test_reads_everything() -> None:
    assert IteratorReader(PIECES).read() == WHOLE
    assert IteratorReader(PIECES).read(None) == WHOLE


def test_read_never_falls_short_before_the_end() -> None:
    with IteratorReader([b"abc", b"d", b"efgh"]) as reader:
        assert [reader.read(size) for size in (0, 2, 5, 100, 1)] == [b"", b"ab", b"cdefg", b"h", b""]


def test_read1_gives_at_most_one_chunk() -> None:
    with IteratorReader([b"abc", b"d"]) as reader:
        assert [reader.read1(2), reader.read1(2), reader.read1(), reader.read1()] == [b"ab", b"c", b"d", b""]


def test_whole_chunks_are_not_copied() -> None:
    chunk = bytes(CHUNK_SIZE)
    assert IteratorReader([chunk]).read1(CHUNK_SIZE) is chunk
    assert IteratorReader([chunk]).read(CHUNK_SIZE) is chunk


def test_readinto_fills_the_buffer() -> None:
    buffer = bytearray(8)
    with IteratorReader([b"abc", b"defghij"]) as reader:
        assert reader.readinto(buffer) == 8
    assert buffer == b"abcdefgh"


def test_iterates_over_lines() -> None:
    assert list(IteratorReader(PIECES)) == [b"first\n", b"second\n", b"\n", b"no newline"]


def test_readline_stops_at_its_size() -> None:
    with IteratorReader(PIECES) as reader:
        assert [reader.readline(3), reader.readline(100), reader.readline(4)] == [b"fir", b"st\n", b"seco"]


@given(
    pieces=st.lists(st.binary(max_size=20), max_size=10),
    calls=st.lists(st.tuples(st.sampled_from(["read", "read1", "readline"]), st.integers(0, 30)), max_size=30),
)
def test_reads_like_a_file(pieces: list[bytes], calls: list[tuple[str, int]]) -> None:
    file = io.BytesIO(b"".join(pieces))
    with IteratorReader(pieces) as reader:
        for method, size in calls:
            found = getattr(reader, method)(size)
            if method == "read1":
                assert len(found) <= size
                assert found == file.read(len(found))
            else:
                assert found == getattr(file, method)(size)
        assert reader.read() == file.read()


def test_an_error_replaces_the_end_and_comes_again() -> None:
    error = ValueError("broken")
    with IteratorReader(failing(error)) as reader:
        assert reader.read(4) == b"some"
        for _ in range(2):
            with pytest.raises(ValueError, match="broken") as caught:
                reader.read()
            assert caught.value is error


def test_an_interrupt_is_remembered_as_well() -> None:
    with IteratorReader(failing(KeyboardInterrupt())) as reader:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                reader.read()


def test_the_end_is_asked_for_once() -> None:
    class Once(StreamReader):
        asked = 0

        def _next_chunk(self) -> bytes:
            self.asked += 1
            return b""

    with Once() as reader:
        assert reader.read() == reader.read() == b""
        assert reader.asked == 1


def test_close_closes_the_source_once() -> None:
    class Closing(StreamReader):
        released = 0

        def _release(self) -> None:
            self.released += 1
            super()._release()

    source = io.BytesIO()
    reader = Closing(source)
    reader.close()
    reader.close()
    assert source.closed
    assert reader.released == 1
    with pytest.raises(ValueError, match="closed"):
        reader.read(1)


def test_a_failed_constructor_leaves_nothing_to_release() -> None:
    class Refusing(StreamReader):
        def __init__(self) -> None:
            raise RuntimeError("no")

        def _release(self) -> None:
            raise AssertionError("released what was never there")

    # pytest turns an error while the object is finalized into a failure.
    with pytest.raises(RuntimeError):
        Refusing()


def test_a_subclass_without_next_chunk_is_told_so() -> None:
    with StreamReader() as reader, pytest.raises(NotImplementedError, match="_next_chunk"):
        reader.read()


def test_is_readable_and_nothing_else() -> None:
    with IteratorReader([]) as reader:
        assert reader.readable()
        assert not reader.writable()
        assert not reader.seekable()


def test_chunks_of_any_file_object(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(data)
    with (tmp_path / "file").open("rb") as buffered, (tmp_path / "file").open("rb", buffering=0) as raw:
        for source in (io.BytesIO(data), buffered, raw, ContentFile(data), IteratorReader([data])):
            assert b"".join(chunks(source)) == data  # type: ignore[arg-type]


def test_a_buffered_file_moves_in_large_chunks(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(3 * CHUNK_SIZE))
    with (tmp_path / "file").open("rb") as file:
        assert [len(chunk) for chunk in chunks(file)] == [CHUNK_SIZE] * 3


def test_copy_counts() -> None:
    target = io.BytesIO()
    assert copy(IteratorReader(PIECES), target.write) == len(WHOLE)
    assert target.getvalue() == WHOLE


def test_pull_gives_nothing_at_the_end() -> None:
    assert pull(io.BytesIO()) == b""


def test_cancel_reaches_the_source() -> None:
    source = Source()
    with IteratorReader([], source) as inner, IteratorReader([], inner) as reader:
        reader.cancel()
        assert source.cancelled is False
        cancel(reader, force=True)
        assert source.cancelled is True


def test_cancel_passes_over_what_cannot() -> None:
    cancel(None)
    cancel(io.BytesIO())
