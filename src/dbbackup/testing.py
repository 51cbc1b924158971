"""The tests that every connector and every codec passes, this package's and others'.

Subclass a suite in a test module, write its factory methods, and pytest runs the rest. Fixtures of your own
may prepare what the factory methods need. Nothing here imports pytest.
"""

# ruff: noqa: D102 (a test's name is its docstring)

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, BinaryIO, ClassVar

from dbbackup.codecs.base import COMPRESSION, ENCRYPTION, Codec
from dbbackup.db.base import BaseDBConnector
from dbbackup.exceptions import CodecError, ConfigurationError, DBBackupError
from dbbackup.streams import StreamReader

__all__ = ["CodecConformance", "ConnectorConformance"]

_SEED = 20261122
_HEAD = 4096


class ConnectorConformance:
    """What a connector promises. Each test begins with a database that fill() has filled."""

    is_atomic: ClassVar[bool] = True
    """Whether a restore that fails leaves the database as it was. False where the engine cannot."""
    notices_cuts: ClassVar[bool] = True
    """Whether a dump that ends early is refused by the connector itself."""

    # What the author of a test writes.

    def make_connector(self) -> BaseDBConnector:
        """Return a new connector; every one made during a test is of the same database."""
        raise NotImplementedError("subclasses of ConnectorConformance must provide a make_connector() method.")

    def fill(self) -> None:
        """Put rows into the database, which is empty: at best every kind of value that the engine has."""
        raise NotImplementedError("subclasses of ConnectorConformance must provide a fill() method.")

    def state(self) -> Any:
        """Return something that compares equal as long as nothing changes in the database."""
        raise NotImplementedError("subclasses of ConnectorConformance must provide a state() method.")

    def empty(self) -> None:
        """Remove what fill() put in, so that state() differs."""
        raise NotImplementedError("subclasses of ConnectorConformance must provide an empty() method.")

    # What pytest runs.

    def test_dump_comes_back(self) -> None:
        dump = self._filled_dump()
        before = self.state()
        self.empty()
        assert self.state() != before
        self._restore(dump)
        assert self.state() == before

    def test_dump_replaces_what_is_there(self) -> None:
        dump = self._filled_dump()
        before = self.state()
        self._restore(dump)
        self._restore(dump)
        assert self.state() == before

    def test_dump_changes_nothing(self) -> None:
        self.fill()
        before = self.state()
        self._dump()
        assert self.state() == before

    def test_dump_is_read_to_the_same_end_in_any_steps(self) -> None:
        self.fill()
        with closing(self.make_connector().create_dump()) as dump:
            pieces = list(iter(lambda: dump.read(7919), b""))
            assert dump.read(1) == b""
        self.empty()
        before = self.state()
        self._restore(b"".join(pieces))
        assert self.state() != before

    def test_dump_may_be_closed_early_and_twice(self) -> None:
        self.fill()
        dump = self.make_connector().create_dump()
        dump.read(1)
        dump.close()
        dump.close()
        assert dump.closed

    def test_restore_takes_a_stream_that_trickles_and_cannot_seek(self) -> None:
        dump = self._filled_dump()
        before = self.state()
        self.empty()
        self.make_connector().restore_dump(_Trickle(dump))
        assert self.state() == before

    def test_restore_raises_the_error_of_its_stream(self) -> None:
        dump = self._filled_dump()
        before = self.state()
        error = _error_of(lambda: self.make_connector().restore_dump(_Trickle(dump[: len(dump) // 2], fails=True)))
        causes = list(_chain(error))
        assert any(isinstance(cause, _SourceError) for cause in causes), f"{error!r} hides the first cause"
        if self.is_atomic:
            assert self.state() == before

    def test_cut_dump_is_refused(self) -> None:
        if not self.notices_cuts:
            return
        dump = self._filled_dump()
        before = self.state()
        for end in _offsets(len(dump), 12):
            error = _error_of(lambda end=end: self._restore(dump[:end]))  # type: ignore[misc]
            assert isinstance(error, DBBackupError), f"cut at {end} of {len(dump)}: {error!r}"
            if self.is_atomic:
                assert self.state() == before, f"cut at {end} of {len(dump)}"

    def test_own_dump_passes_its_checks(self) -> None:
        dump = self._filled_dump()
        connector = self.make_connector()
        connector.preflight_dump()
        connector.preflight_restore()
        connector.check_dump(dump[:_HEAD])
        connector.verify_dump(io.BytesIO(dump))

    def test_options_are_declared(self) -> None:
        connector = self.make_connector()
        assert {"extension", "exclude"} <= connector.options()
        connector.refuse_unknown_options(["EXTENSION", "NAME"], "the test")
        error = _error_of(lambda: connector.refuse_unknown_options(["EXTENSOIN"], "the test"))
        assert isinstance(error, ConfigurationError)
        assert "EXTENSION" in str(error), "the error names what was meant"

    def test_describes_itself(self) -> None:
        connector = self.make_connector()
        assert connector.extension
        assert not connector.extension.startswith(".")
        assert connector.restore_by_hand[:1] in {">", "|"}
        assert connector.temporary_bytes(1000) >= 0
        assert all(isinstance(secret, str) for secret in connector.secrets())

    def _filled_dump(self) -> bytes:
        self.fill()
        return self._dump()

    def _dump(self) -> bytes:
        with closing(self.make_connector().create_dump()) as dump:
            return dump.read()

    def _restore(self, dump: bytes) -> None:
        self.make_connector().restore_dump(io.BytesIO(dump))


class CodecConformance:
    """What a codec promises: what it wrote comes back, and anything else is refused."""

    cuts: ClassVar[int] = 50
    """How many places a message is cut at and changed at; fewer for a codec that starts a program."""

    # What the author of a test writes.

    def make_codec(self) -> Codec:
        """Return a codec that can encode and decode."""
        raise NotImplementedError("subclasses of CodecConformance must provide a make_codec() method.")

    # What pytest runs.

    def test_every_size_comes_back(self) -> None:
        codec = self.make_codec()
        for size in (0, 1, 1000, 65536, 1024 * 1024, 3 * 1024 * 1024 + 1):
            for plain in (_noise(size), _text(size)):
                assert self._decode(codec, self._encode(codec, plain)) == plain

    def test_streams_that_trickle_come_back(self) -> None:
        codec = self.make_codec()
        plain = _text(300_000)
        with closing(codec.encode(_Trickle(plain))) as encoded, closing(codec.decode(_Trickle(encoded.read()))) as back:
            pieces = list(iter(lambda: back.read(7919), b""))
        assert b"".join(pieces) == plain
        assert {len(piece) for piece in pieces[:-1]} == {7919}, "a read is short only at the end"

    def test_cut_message_is_refused(self) -> None:
        codec = self.make_codec()
        message = self._encode(codec, _text(2000))
        for end in _offsets(len(message), self.cuts):
            self._check_refused(codec, message[:end], f"cut at {end} of {len(message)}")

    def test_changed_message_is_refused_or_says_the_same(self) -> None:
        codec = self.make_codec()
        plain = _text(2000)
        message = self._encode(codec, plain)
        for place in _offsets(len(message), self.cuts):
            changed = bytearray(message)
            changed[place] ^= 1 << place % 8
            try:
                back = self._decode(codec, bytes(changed))
            except CodecError:
                continue
            # There are bytes that mean nothing, such as the time in gzip's header.
            assert back == plain, f"changed at {place} of {len(message)}"

    def test_message_with_something_behind_it_is_refused(self) -> None:
        codec = self.make_codec()
        message = self._encode(codec, _text(2000))
        for garbage in (b"\0", b"x", _noise(100_000)):
            self._check_refused(codec, message + garbage, f"{len(garbage)} bytes behind it")

    def test_something_else_is_refused(self) -> None:
        codec = self.make_codec()
        for other in (b"", b"PK\x03\x04", _noise(5000), _text(5000)):
            self._check_refused(codec, other, f"{other[:10]!r}")

    def test_error_of_the_source_is_raised(self) -> None:
        codec = self.make_codec()
        plain = _noise(2 * 1024 * 1024)
        message = self._encode(codec, plain)
        for step, data in ((codec.encode, plain), (codec.decode, message)):
            error = _error_of(lambda step=step, data=data: _read(step(_Trickle(data[:-5], fails=True))))  # type: ignore[misc]
            assert any(isinstance(cause, _SourceError) for cause in _chain(error)), f"{error!r} hides the first cause"

    def test_closing_early_closes_the_source(self) -> None:
        codec = self.make_codec()
        message = self._encode(codec, _noise(3 * 1024 * 1024))
        for step, data in ((codec.encode, _noise(3 * 1024 * 1024)), (codec.decode, message)):
            source = io.BytesIO(data)
            reader = step(source)
            reader.read(10)
            reader.close()
            reader.close()
            assert source.closed

    def test_describes_itself(self) -> None:
        codec = self.make_codec()
        assert codec.name == codec.name.lower()
        assert codec.suffix.startswith(".")
        assert codec.kind in {COMPRESSION, ENCRYPTION}
        assert codec.decode_by_hand
        assert not codec.magic or codec.matches(self._encode(codec, b"x")[:_HEAD])
        assert not codec.magic or not codec.matches(b"SQLite format 3\0")

    def test_unknown_option_is_refused(self) -> None:
        error = _error_of(lambda: type(self.make_codec())(levle=3))
        assert isinstance(error, ConfigurationError)
        assert "levle" in str(error)

    def _encode(self, codec: Codec, plain: bytes) -> bytes:
        return _read(codec.encode(io.BytesIO(plain)))

    def _decode(self, codec: Codec, message: bytes) -> bytes:
        return _read(codec.decode(io.BytesIO(message)))

    def _check_refused(self, codec: Codec, message: bytes, how: str) -> None:
        error = _error_of(lambda: self._decode(codec, message))
        assert isinstance(error, CodecError), f"{how}: {error!r}"


class _SourceError(Exception):
    """What a stream of these tests raises."""


class _Trickle(StreamReader):
    """A stream that cannot seek and gives little at a time, and may fail instead of ending."""

    def __init__(self, data: bytes, *, fails: bool = False) -> None:
        self._pieces = _pieces(data)
        self._fails = fails
        super().__init__()

    def _next_chunk(self) -> bytes:
        piece = next(self._pieces, b"")
        if not piece and self._fails:
            raise _SourceError("the source of this test failed")
        return piece


def _pieces(data: bytes) -> Iterator[bytes]:
    """Yield the data in pieces of 1, 2, 4 … 8192 bytes, over and over."""
    position, size = 0, 1
    while position < len(data):
        yield data[position : position + size]
        position += size
        size = size * 2 if size < 8192 else 1


def _read(stream: BinaryIO) -> bytes:
    with closing(stream):
        return stream.read()


def _error_of(action: Callable[[], object]) -> Exception | None:
    try:
        action()
    except Exception as exc:  # noqa: BLE001 whatever it is, it is looked at
        return exc
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _offsets(length: int, count: int) -> list[int]:
    """Return places spread over a message, its first and last bytes among them."""
    if length <= count:
        return list(range(length))
    spread = random.Random(_SEED).sample(range(4, length - 4), max(0, min(count, length) - 8))  # noqa: S311 no secret
    return sorted({0, 1, 2, 3, *spread, *range(length - 4, length)})


def _noise(size: int) -> bytes:
    return random.Random(_SEED).randbytes(size)  # noqa: S311 no secret


def _text(size: int) -> bytes:
    line = b"INSERT INTO city VALUES(%d,'Z\xc3\xbcrich',47.3769);\n"
    return b"".join(line % number for number in range(size // 40 + 1))[:size]
