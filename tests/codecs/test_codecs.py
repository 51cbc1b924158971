from __future__ import annotations

import bz2
import gzip
import io
from collections.abc import Iterator
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbbackup.codecs import (
    CODECS,
    COMPRESSION,
    ENCRYPTION,
    Codec,
    codec_class,
    codec_classes,
    decode_all,
    detect,
    encode_all,
    split_suffixes,
)
from dbbackup.codecs.gzip import GzipCodec
from dbbackup.codecs.zstd import ZstdCodec
from dbbackup.exceptions import ConfigurationError
from dbbackup.streams import IteratorReader, ProgramReader, chunks

PLAIN = b"INSERT INTO thing VALUES (1, 'nut');\n" * 100


class Bzip2Codec(Codec):
    """A codec from elsewhere, whose readers do not own their source."""

    name = "bzip2"
    suffix = ".bz2"
    kind = COMPRESSION
    magic = (b"BZh",)
    decode_by_hand = "bzip2 -dc"

    def encode(self, source: BinaryIO) -> BinaryIO:
        return IteratorReader(iter([bz2.compress(source.read())]))

    def decode(self, source: BinaryIO) -> BinaryIO:
        return IteratorReader(bz2.decompress(source.read()) for _ in range(1))


class SlowCodec(Bzip2Codec):
    """Waits for its source, which it keeps to itself."""

    def encode(self, source: BinaryIO) -> BinaryIO:
        return IteratorReader(chunks(source))


class RefusingCodec(Bzip2Codec):
    def encode(self, source: BinaryIO) -> BinaryIO:
        raise ConfigurationError("no key")


EXTRA = {"bzip2": f"{__name__}.Bzip2Codec"}


def test_every_codec_is_what_it_is_called() -> None:
    for name, codec in codec_classes(EXTRA).items():
        assert codec.name == name
        assert codec is codec_class(name, EXTRA)
        assert codec.suffix.startswith(".")
        assert codec.kind in {COMPRESSION, ENCRYPTION}
        assert codec().decode_by_hand


def test_an_unknown_codec_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no codec 'lzma'\. There are: age, bzip2, gpg, gzip, zstd"):
        codec_class("lzma", EXTRA)


def test_a_project_may_replace_a_codec() -> None:
    assert codec_class("gzip", {"gzip": EXTRA["bzip2"]}) is Bzip2Codec
    assert codec_class("gzip") is GzipCodec


@pytest.mark.parametrize("path", ["no.such.Codec", f"{__name__}.Missing", "NoModule", ""])
def test_a_path_that_cannot_be_imported_is_named(path: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{path}' cannot be imported"):
        codec_class("mine", {"mine": path})


@pytest.mark.parametrize("path", [f"{__name__}.PLAIN", "io.BytesIO"])
def test_a_path_to_something_else_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a codec"):
        codec_class("mine", {"mine": path})


def test_options() -> None:
    assert ZstdCodec(level=7).level == 7
    with pytest.raises(ConfigurationError, match=r"zstd does not have options: a, levle \(it has level\)"):
        ZstdCodec(levle=7, a=1)
    with pytest.raises(ConfigurationError, match=r"bzip2 does not have options: level \(it has none\)"):
        Bzip2Codec(level=7)


def test_a_codec_without_its_functions_is_told_so() -> None:
    for method in (Codec().encode, Codec().decode):
        with pytest.raises(NotImplementedError, match="must provide"):
            method(io.BytesIO())


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("a.sqlite3", ("a.sqlite3", [])),
        ("a.sqlite3.zst.age", ("a.sqlite3", ["zstd", "age"])),
        ("a.psql.gz.gpg", ("a.psql", ["gzip", "gpg"])),
        ("a.gz.json", ("a.gz.json", [])),
        ("a.dump.bz2", ("a.dump", ["bzip2"])),
        (".gz", (".gz", [])),
        ("", ("", [])),
    ],
)
def test_suffixes_tell_the_codecs(filename: str, expected: tuple[str, list[str]]) -> None:
    assert split_suffixes(filename, EXTRA) == expected


@given(names=st.lists(st.sampled_from(sorted(CODECS)), max_size=4))
def test_suffixes_come_off_as_they_went_on(names: list[str]) -> None:
    filename = "default-2026.dump" + "".join(codec_class(name).suffix for name in names)
    assert split_suffixes(filename) == ("default-2026.dump", names)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (gzip.compress(b"x", mtime=0), "gzip"),
        (b"\x28\xb5\x2f\xfd rest", "zstd"),
        (b"BZh9", "bzip2"),
        (b"-----BEGIN PGP MESSAGE-----\n", "gpg"),
        (b"\x85\x01\x0c\x03 rest", "gpg"),
        (b"age-encryption.org/v1\n-> X25519", "age"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "age"),
        (b"SQLite format 3\0", None),
        (b"PGDMP\x01", None),
        (b"-- MariaDB dump", None),
        (b'[{"model": "auth.user"', None),
        ("Ünïcödé".encode(), None),
        (b"", None),
    ],
)
def test_the_first_bytes_tell_the_codec(head: bytes, name: str | None) -> None:
    assert detect(head, EXTRA) == name


def test_a_chain_is_undone_in_reverse() -> None:
    codecs = [GzipCodec(), Bzip2Codec(), ZstdCodec()]
    with encode_all(io.BytesIO(PLAIN), codecs) as reader:
        encoded = reader.read()
    assert encoded.startswith(ZstdCodec.magic)
    with decode_all(io.BytesIO(encoded), codecs) as reader:
        assert reader.read() == PLAIN


def test_no_codec_is_no_stage() -> None:
    source = io.BytesIO(PLAIN)
    assert encode_all(source, []) is source
    assert decode_all(source, []) is source


def test_closing_a_chain_closes_every_stage() -> None:
    source = io.BytesIO(PLAIN)
    encode_all(source, [Bzip2Codec(), ZstdCodec()]).close()
    assert source.closed


def test_a_codec_that_refuses_leaves_nothing_open() -> None:
    source = io.BytesIO(PLAIN)
    with pytest.raises(ConfigurationError, match="no key"):
        encode_all(source, [ZstdCodec(), RefusingCodec()])
    assert source.closed


def test_cancelling_a_chain_reaches_through_a_codec_that_knows_nothing_of_it() -> None:
    chain = encode_all(ProgramReader(["sleep", "1000"]), [SlowCodec()])
    # The program is waited for in another thread, which only a signal to it can end.
    with ProgramReader(["sh", "-c", "echo ready; exec cat"], source=chain) as reader:
        assert reader.readline() == b"ready\n"
    assert chain.closed


def test_an_error_passes_through_a_chain() -> None:
    def failing() -> Iterator[bytes]:
        yield PLAIN
        raise ValueError("upstream")

    with (
        encode_all(IteratorReader(failing()), [GzipCodec(), ZstdCodec()]) as reader,
        pytest.raises(ValueError, match="upstream"),
    ):
        reader.read()
