from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from dbbackup.codecs.zstd import ZstdCodec
from dbbackup.exceptions import ConfigurationError
from dbbackup.streams import CHUNK_SIZE, IteratorReader, copy, run_program
from tests.codecs.damage import (
    decode,
    encode,
    every_cut_raises,
    every_flip_raises_or_changes_nothing,
    everything_added_raises,
)
from tests.requirements import requires

PLAIN = b"INSERT INTO thing VALUES (1, 'nut');\n" * 20 + os.urandom(100)
# Larger than what a worker takes at a time, partly compressible.
LARGE = os.urandom(3 * CHUNK_SIZE + 7) + bytes(2 * CHUNK_SIZE)


@pytest.mark.parametrize("level", [-5, 1, 3, 9])
@pytest.mark.parametrize("plain", [b"", b"x", PLAIN, LARGE], ids=["empty", "byte", "small", "large"])
def test_comes_back(plain: bytes, level: int) -> None:
    encoded = encode(ZstdCodec(level=level), plain)
    assert ZstdCodec.matches(encoded[:4096])
    assert decode(ZstdCodec(), encoded) == plain


@requires("zstd")
def test_zstd_opens_what_is_written() -> None:
    assert run_program(["zstd", "-dc"], source=ZstdCodec().encode(io.BytesIO(LARGE)))[-CHUNK_SIZE:] == bytes(CHUNK_SIZE)
    encoded = encode(ZstdCodec(), LARGE)
    assert subprocess.run(["zstd", "-dc"], input=encoded, capture_output=True, check=True).stdout == LARGE


@requires("zstd")
def test_what_is_written_has_a_checksum() -> None:
    encoded = encode(ZstdCodec(), PLAIN)
    # Frame_Header_Descriptor, bit 2: Content_Checksum_flag (RFC 8878, 3.1.1.1.1).
    assert encoded[4] & 0b100


@requires("zstd")
@pytest.mark.parametrize("options", [["-19"], ["--fast"], ["--no-check"], ["-T2", "-B512K"], ["--long=27"]])
def test_opens_what_zstd_writes(options: list[str]) -> None:
    encoded = subprocess.run(["zstd", "-c", *options], input=LARGE, capture_output=True, check=True).stdout
    assert decode(ZstdCodec(), encoded) == LARGE


def test_several_frames_are_one_stream() -> None:
    # A skippable frame of three bytes in between (RFC 8878, 3.1.2).
    skippable = bytes.fromhex("502a4d1803000000") + b"???"
    encoded = encode(ZstdCodec(), PLAIN) + skippable + encode(ZstdCodec(), b"more")
    assert decode(ZstdCodec(), encoded) == PLAIN + b"more"


def test_any_pieces_will_do() -> None:
    encoded = encode(ZstdCodec(), PLAIN) + encode(ZstdCodec(), b"more")
    pieces = IteratorReader(encoded[i : i + 1] for i in range(len(encoded)))
    with ZstdCodec().decode(pieces) as reader:
        assert reader.read() == PLAIN + b"more"


def test_damage_raises() -> None:
    encoded = encode(ZstdCodec(), PLAIN)
    every_cut_raises(ZstdCodec(), encoded)
    every_flip_raises_or_changes_nothing(ZstdCodec(), encoded, PLAIN, 1000)
    everything_added_raises(ZstdCodec(), encoded)


def test_a_bomb_is_decoded_in_bounded_pieces() -> None:
    sizes = []
    with ZstdCodec().decode(ZstdCodec().encode(IteratorReader(bytes(CHUNK_SIZE) for _ in range(100)))) as reader:
        assert copy(reader, lambda chunk: sizes.append(len(chunk))) == 100 << 20
    assert max(sizes) <= CHUNK_SIZE


@pytest.mark.parametrize("level", [1000, "fast"])
def test_another_level_is_refused(level: object) -> None:
    with pytest.raises(ConfigurationError, match="zstd refuses the level"):
        ZstdCodec(level=level).encode(io.BytesIO())


def test_memory_stays_small_while_a_gigabyte_flows() -> None:
    # In a process of its own: its peak is not that of the tests before. Random bytes fill every buffer.
    script = (
        "import os\n"
        "from dbbackup.codecs.zstd import ZstdCodec\n"
        "from dbbackup.streams import *\n"
        "def peak():\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM'))\n"
        "idle, some = peak(), os.urandom(CHUNK_SIZE)\n"
        "source = IteratorReader(some for _ in range(1024))\n"
        "with ZstdCodec().decode(ZstdCodec().encode(source)) as stream: size = copy(stream, lambda chunk: None)\n"
        "print(size, peak() - idle)\n"
    )
    size, kibibytes = map(int, run_program([sys.executable, "-W", "ignore", "-c", script]).split())
    assert size == 1 << 30
    assert kibibytes < 48 * 1024


def test_closing_closes_the_source() -> None:
    for method in (ZstdCodec().encode, ZstdCodec().decode):
        source = io.BytesIO(PLAIN)
        method(source).close()
        assert source.closed
