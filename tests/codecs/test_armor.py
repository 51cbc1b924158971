from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbbackup.codecs.armor import AGE_BEGIN, age_content, whole_pgp_message
from dbbackup.exceptions import CodecError
from dbbackup.streams import IteratorReader, PeekableReader

CONTENT = os.urandom(1000)
AGE_END = AGE_BEGIN.replace(b"BEGIN", b"END")
ARMORED = AGE_BEGIN + b"\n" + base64.encodebytes(CONTENT) + AGE_END + b"\n"
PGP = b"-----BEGIN PGP MESSAGE-----\n\nwcBMA=\n-----END PGP MESSAGE-----\n"


def content(armored: bytes, size: int = 1 << 20) -> bytes:
    pieces = (armored[i : i + size] for i in range(0, len(armored), size))
    return b"".join(age_content(PeekableReader(IteratorReader(pieces))))


@given(size=st.integers(1, 2000))
def test_age_armour_comes_off_in_any_pieces(size: int) -> None:
    assert content(ARMORED, size) == CONTENT
    assert content(ARMORED.replace(b"\n", b"\r\n"), size) == CONTENT


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_any_length_of_content(length: int) -> None:
    text = base64.b64encode(CONTENT[:length])
    assert content(AGE_BEGIN + b"\n" + text + b"\n" + AGE_END + b"\n") == CONTENT[:length]


@given(cut=st.integers(0, len(ARMORED) - 1))
def test_every_cut_raises(cut: int) -> None:
    with pytest.raises(CodecError, match="not complete"):
        content(ARMORED[:cut])


@pytest.mark.parametrize("size", [1, 64, 1 << 20])
@pytest.mark.parametrize(
    "armored",
    [
        b"\n" + ARMORED,
        b"x" + ARMORED,
        ARMORED + b"\n",
        ARMORED * 2,
        ARMORED.replace(AGE_END, AGE_END + AGE_END),
        ARMORED.replace(AGE_END, b"=" + AGE_END),
        ARMORED.replace(AGE_END, b"-\n" + AGE_END),
        AGE_BEGIN + b"\nAAA=AAAA\n" + AGE_END + b"\n",
        AGE_BEGIN + b"\nAAA=\nAAAA\n" + AGE_END + b"\n",
        AGE_BEGIN + b"\nAA*A\n" + AGE_END + b"\n",
        AGE_BEGIN + b"\nA\n" + AGE_END + b"\n",
        AGE_BEGIN + b"\n\n" + AGE_END.replace(b"AGE", b"PGP") + b"\n",
    ],
)
def test_anything_else_raises(armored: bytes, size: int) -> None:
    with pytest.raises(CodecError, match="not complete"):
        content(armored, size)


@given(size=st.integers(1, len(PGP)), cut=st.integers(0, len(PGP) - 1))
def test_a_pgp_message_ends_with_its_last_line(size: int, cut: int) -> None:
    def passed(message: bytes) -> bytes:
        pieces = (message[i : i + size] for i in range(0, len(message), size))
        return b"".join(whole_pgp_message(IteratorReader(pieces)))

    assert passed(PGP) == PGP
    with pytest.raises(CodecError, match="cut off"):
        passed(PGP[:cut])
    with pytest.raises(CodecError, match="follows"):
        passed(PGP + b"\n")
    with pytest.raises(CodecError, match="follows"):
        passed(PGP * 2)
