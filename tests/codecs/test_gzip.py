from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from dbbackup.codecs.gzip import GzipCodec
from dbbackup.exceptions import ConfigurationError
from dbbackup.streams import CHUNK_SIZE, IteratorReader, copy
from tests.codecs.damage import (
    decode,
    encode,
    every_cut_raises,
    every_flip_raises_or_changes_nothing,
    everything_added_raises,
)
from tests.requirements import requires

PLAIN = b"INSERT INTO thing VALUES (1, 'nut');\n" * 20 + os.urandom(100)
# Larger than a chunk, partly compressible.
LARGE = os.urandom(CHUNK_SIZE + 7) + bytes(2 * CHUNK_SIZE)


@pytest.mark.parametrize("level", range(4))
@pytest.mark.parametrize("plain", [b"", b"x", PLAIN, LARGE], ids=["empty", "byte", "small", "large"])
def test_comes_back(plain: bytes, level: int) -> None:
    encoded = encode(GzipCodec(level=level), plain)
    assert GzipCodec.matches(encoded[:4096])
    assert decode(GzipCodec(), encoded) == plain


@requires("gzip")
def test_gzip_opens_what_is_written() -> None:
    encoded = encode(GzipCodec(), LARGE)
    assert subprocess.run(["gzip", "-dc"], input=encoded, capture_output=True, check=True).stdout == LARGE


@requires("gzip")
def test_changes_its_way_where_the_data_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dbbackup.codecs.gzip._SAMPLED_EVERY", CHUNK_SIZE)
    text = "".join(LOG.format(number, 0, number * 7919 % 1000, number % 97) for number in range(60_000)).encode()
    plain = os.urandom(2 * CHUNK_SIZE) + text + os.urandom(2 * CHUNK_SIZE)
    encoded = encode(GzipCodec(), plain)
    assert encoded.count(b"\x1f\x8b\x08\0") >= 2
    assert decode(GzipCodec(), encoded) == plain
    assert subprocess.run(["gzip", "-dc"], input=encoded, capture_output=True, check=True).stdout == plain


@requires("gzip")
def test_opens_what_gzip_writes(tmp_path: Path) -> None:
    file = tmp_path / "named.sql"
    file.write_bytes(LARGE)
    subprocess.run(["gzip", "-9", str(file)], check=True)
    assert decode(GzipCodec(), (tmp_path / "named.sql.gz").read_bytes()) == LARGE


CUSTOMERS = "INSERT INTO customer VALUES ({0}, '{1}', {2}, 'user{0}@example.com');\n"
LOG = '{{"model": "app.entry", "pk": {0}, "fields": {{"path": "/api/v1/items/{2}", "took": {3}}}}}\n'
COUNTER = "INSERT INTO counter VALUES ({0}, {2});\n"


@pytest.mark.parametrize("row", [CUSTOMERS, LOG, COUNTER], ids=["customers", "log", "counter"])
def test_is_hardly_larger_than_gzip_6(row: str) -> None:
    rows = (row.format(number, uuid.uuid4(), number * 7919 % 1000, number**3 % 97) for number in range(50_000))
    plain = "".join(rows).encode()
    assert len(encode(GzipCodec(), plain)) <= 1.1 * len(gzip.compress(plain, 6))


def test_several_members_are_one_stream() -> None:
    encoded = encode(GzipCodec(), PLAIN) + gzip.compress(b"") + gzip.compress(b"more")
    assert decode(GzipCodec(), encoded) == PLAIN + b"more"


def test_any_pieces_will_do() -> None:
    encoded = gzip.compress(PLAIN) + gzip.compress(b"more")
    pieces = IteratorReader(encoded[i : i + 1] for i in range(len(encoded)))
    with GzipCodec().decode(pieces) as reader:
        assert reader.read() == PLAIN + b"more"


def test_damage_raises() -> None:
    encoded = encode(GzipCodec(), PLAIN)
    every_cut_raises(GzipCodec(), encoded)
    every_flip_raises_or_changes_nothing(GzipCodec(), encoded, PLAIN, 1000)
    everything_added_raises(GzipCodec(), encoded)


def test_a_bomb_is_decoded_in_bounded_pieces() -> None:
    sizes = []
    with GzipCodec().decode(io.BytesIO(gzip.compress(bytes(100 << 20)))) as reader:
        assert copy(reader, lambda chunk: sizes.append(len(chunk))) == 100 << 20
    assert max(sizes) <= CHUNK_SIZE


@pytest.mark.parametrize("level", [-1, 4, "fast"])
def test_another_level_is_refused(level: object) -> None:
    with pytest.raises(ConfigurationError, match="level of gzip is 0 to 3"):
        GzipCodec(level=level).encode(io.BytesIO())


def test_closing_closes_the_source() -> None:
    for method in (GzipCodec().encode, GzipCodec().decode):
        source = io.BytesIO(PLAIN)
        method(source).close()
        assert source.closed


def test_the_library_is_loaded_only_when_needed() -> None:
    script = "import sys, dbbackup.codecs.gzip; sys.exit('isal' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
