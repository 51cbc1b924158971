"""Decoding of formats that are made of complete members, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from dbbackup.exceptions import CodecError
from dbbackup.streams import CHUNK_SIZE, chunks


class Decompressor(Protocol):
    """Decodes one member, as the standard library's bz2.BZ2Decompressor does."""

    @property
    def eof(self) -> bool:
        """Whether the member has come to its end."""

    @property
    def needs_input(self) -> bool:
        """Whether there is no more output without more input."""

    @property
    def unused_data(self) -> bytes:
        """What followed the member."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return at most ``max_length`` decoded bytes."""


def decode_members(
    source: BinaryIO, make: Callable[[], Decompressor], error: type[Exception], what: str
) -> Iterator[bytes]:
    """Yield the decoded bytes of every member, in pieces of at most CHUNK_SIZE however far they expand.

    ``make`` gives a decompressor for the next member, ``error`` is what it raises for damaged input,
    ``what`` names the format. Raise CodecError when the last member is not complete, when there is none,
    and for anything that is not a member.
    """
    member: Decompressor | None = None
    empty = True
    for chunk in chunks(source):
        data = chunk
        empty = False
        while data or (member and not member.needs_input):
            member = member or make()
            try:
                plain = member.decompress(data, CHUNK_SIZE)
            except (error, EOFError) as exc:
                raise CodecError(f"The {what} data is damaged, or something follows it: {exc}.") from exc
            data = b""
            if member.eof:
                data, member = member.unused_data, None
            if plain:
                yield plain
    if empty or member is not None:
        raise CodecError(f"The {what} data is cut off: it ends before its end mark.")
