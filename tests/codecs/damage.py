"""What can happen to an encoded message, tried on one; no decoder may take the result for a good one."""

from __future__ import annotations

import io
import random
from collections.abc import Iterable

import pytest

from dbbackup.codecs import Codec
from dbbackup.exceptions import CodecError


def encode(codec: Codec, plain: bytes) -> bytes:
    with codec.encode(io.BytesIO(plain)) as reader:
        return reader.read()


def decode(codec: Codec, encoded: bytes) -> bytes:
    with codec.decode(io.BytesIO(encoded)) as reader:
        return reader.read()


def every_cut_raises(codec: Codec, encoded: bytes, cuts: Iterable[int] | None = None) -> None:
    for cut in range(len(encoded)) if cuts is None else cuts:
        with pytest.raises(CodecError):
            pytest.fail(f"cut at {cut}: {decode(codec, encoded[:cut])!r}")


def every_flip_raises_or_changes_nothing(codec: Codec, encoded: bytes, plain: bytes, count: int) -> None:
    """Flip bits in ``count`` places; headers have bits without a meaning, where the content stays the same."""
    raised = 0
    for _ in range(count):
        position, bit = random.randrange(len(encoded)), random.randrange(8)
        damaged = bytearray(encoded)
        damaged[position] ^= 1 << bit
        try:
            assert decode(codec, bytes(damaged)) == plain, f"bit {bit} of byte {position}"
        except CodecError:
            raised += 1
    assert raised > count / 2


def everything_added_raises(codec: Codec, encoded: bytes) -> None:
    for added in (b"\0", b"x", b"\n", b"garbage\n", bytes(3000), encoded[:10], encoded[:-1]):
        with pytest.raises(CodecError):
            pytest.fail(f"followed by {added[:20]!r}: {decode(codec, encoded + added)!r}")
    for added in (b"\0", b"\n", b"garbage\n"):
        with pytest.raises(CodecError):
            pytest.fail(f"preceded by {added!r}: {decode(codec, added + encoded)!r}")
