from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbbackup.codecs.openpgp import begins_message, whole_message
from dbbackup.exceptions import CodecError
from dbbackup.streams import IteratorReader, chunks

# A session key (packet 1, version 3), in the old form and the new.
OLD_KEY = bytes([0x84, 5]) + b"\x03keys"
NEW_KEY = bytes([0xC1, 5]) + b"\x03keys"
DATA_TAG = 0xC0 | 18


def new_length(size: int) -> bytes:
    if size < 192:
        return bytes([size])
    if size < 8384:
        return bytes([((size - 192) >> 8) + 192, (size - 192) & 0xFF])
    return b"\xff" + size.to_bytes(4, "big")


def data_packet(size: int) -> bytes:
    return bytes([DATA_TAG]) + new_length(size) + b"d" * size


def parts(*sizes: int) -> bytes:
    """Return a packet in parts of 2 ** size bytes, the last of as many as it says."""
    body = b"".join(bytes([224 + power]) + b"p" * (1 << power) for power in sizes[:-1])
    return bytes([DATA_TAG]) + body + new_length(sizes[-1]) + b"l" * sizes[-1]


MESSAGES = [
    OLD_KEY + data_packet(10),
    NEW_KEY * 3 + data_packet(191),
    OLD_KEY + NEW_KEY + data_packet(192),
    NEW_KEY + data_packet(8383),
    NEW_KEY + data_packet(8384),
    NEW_KEY + parts(9, 0),
    NEW_KEY + parts(9, 13, 1, 100),
    NEW_KEY + parts(9, 10, 300),
    NEW_KEY + parts(9, 10, 9000),
    # Old lengths of one, two and four bytes for packet 9.
    OLD_KEY + bytes([0x80 | 9 << 2, 7]) + b"d" * 7,
    OLD_KEY + bytes([0x81 | 9 << 2, 1, 2]) + b"d" * 258,
    OLD_KEY + bytes([0x82 | 9 << 2, 0, 0, 0, 3]) + b"d" * 3,
]


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_whole_message_passes(message: bytes, size: int) -> None:
    pieces = (message[i : i + size] for i in range(0, len(message), size))
    assert b"".join(whole_message(IteratorReader(pieces))) == message


@given(message=st.sampled_from(MESSAGES), data=st.data())
def test_every_cut_raises(message: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(message) - 1))
    with pytest.raises(CodecError, match="cut off"):
        list(whole_message(io.BytesIO(message[:cut])))


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("size", [1, 100_000])
def test_whatever_follows_raises(message: bytes, size: int) -> None:
    encoded = message + b"\x85"
    pieces = IteratorReader(encoded[i : i + size] for i in range(0, len(encoded), size))
    with pytest.raises(CodecError, match="follows"):
        list(whole_message(pieces))


def test_a_length_that_is_left_open_reaches_to_the_end() -> None:
    message = OLD_KEY + bytes([0x83 | 9 << 2]) + b"whatever"
    assert b"".join(chunks(IteratorReader(whole_message(io.BytesIO(message))))) == message


@pytest.mark.parametrize(
    ("head", "is_message"),
    [
        (OLD_KEY, True),
        (NEW_KEY, True),
        (b"\x85\x01\x0c\x03rest", True),
        (b"\xc1\xc0\x20\x03rest", True),
        (b"\xc1\x20\x06rest", True),
        (b"\x8c\x0d\x04rest", True),
        (b"\xc3\x0d\x04rest", True),
        (b"\x85\x01\x0c\x09rest", False),
        (b"\x8c\x0d\x03rest", False),
        (b"\x84\x05", False),
        (b"\xcb\x0d\x03rest", False),
    ],
)
def test_a_message_begins_with_a_session_key(head: bytes, is_message: bool) -> None:
    assert begins_message(head) is is_message
