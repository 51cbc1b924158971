from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbbackup.exceptions import VerificationError
from dbbackup.streams import CheckedReader, CountingReader, HashingReader, IteratorReader, PeekableReader

DATA = bytes(range(256)) * 9000
SHA256 = hashlib.sha256(DATA).hexdigest()


def test_hashing() -> None:
    with HashingReader(io.BytesIO(DATA)) as reader:
        assert reader.hexdigest() == hashlib.sha256().hexdigest()
        assert reader.read() == DATA
        assert (reader.size, reader.hexdigest()) == (len(DATA), SHA256)


def test_counting() -> None:
    told: list[int] = []
    with CountingReader(IteratorReader([b"abc", b"de"]), told.append) as reader:
        assert reader.read() == b"abcde"
    assert told == [3, 5]


@pytest.mark.parametrize("size", [None, len(DATA)])
@pytest.mark.parametrize("sha256", [None, SHA256])
def test_checked_passes_what_was_written(size: int | None, sha256: str | None) -> None:
    with CheckedReader(io.BytesIO(DATA), size, sha256, "it") as reader:
        assert reader.read() == DATA


def test_checked_refuses_a_short_stream() -> None:
    with CheckedReader(io.BytesIO(DATA[:-1]), len(DATA), SHA256, "app.dump") as reader:
        assert len(reader.read(len(DATA) - 1)) == len(DATA) - 1
        with pytest.raises(VerificationError, match=r"app.dump .* ends after 2303999 of 2304000 bytes"):
            reader.read(1)


def test_checked_refuses_other_bytes_at_the_end() -> None:
    with CheckedReader(io.BytesIO(b"x" + DATA[1:]), len(DATA), SHA256, "app.dump") as reader:
        reader.read(len(DATA))
        with pytest.raises(VerificationError, match="SHA-256"):
            reader.read(1)


def test_checked_refuses_a_long_stream_before_its_end() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1000)

    with (
        CheckedReader(IteratorReader(endless()), 1500, None, "app.dump") as reader,
        pytest.raises(VerificationError, match="longer than 1500 bytes"),
    ):
        reader.read()


def test_closing_runs_the_end_of_a_generator_and_then_closes_its_source() -> None:
    order = []

    class Source(io.BytesIO):
        def close(self) -> None:
            order.append("source")
            super().close()

    def pieces() -> Iterator[bytes]:
        try:
            yield b"one"
            yield b"two"
        finally:
            order.append("generator")

    source = Source()
    reader = IteratorReader(pieces(), source)
    assert reader.read(1) == b"o"
    reader.close()
    assert order[:2] == ["generator", "source"]


def test_any_iterable_will_do() -> None:
    assert IteratorReader([b"", b"a", b"", b"b", b""]).read() == b"ab"


@given(pieces=st.lists(st.binary(max_size=10), max_size=8), first=st.integers(0, 20), size=st.integers(0, 40))
def test_peek_shows_what_comes_and_moves_nothing(pieces: list[bytes], first: int, size: int) -> None:
    whole = b"".join(pieces)
    with PeekableReader(IteratorReader(pieces)) as reader:
        assert reader.read(first) == whole[:first]
        assert reader.peek(size) == whole[first : first + size]
        assert reader.peek(1) == whole[first : first + 1]
        assert reader.read() == whole[first:]
        assert reader.peek(1) == b""
