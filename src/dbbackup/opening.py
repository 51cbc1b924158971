"""A stored backup opened: from verified stored bytes to the bytes of the dump."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from dbbackup.catalog.source import Source
from dbbackup.chain import decoders
from dbbackup.codecs import decode_all, detect
from dbbackup.conf import get_settings
from dbbackup.streams import CheckedReader, PeekableReader

Prompt = Callable[[], str | None]


def open_dump(
    stored: BinaryIO, source: Source, passphrase: str | None = None, prompt: Prompt | None = None
) -> PeekableReader:
    """Return the dump in these stored bytes, checked against the manifest where there is one.

    The codecs come from the manifest, else from the suffixes of the name, else from the first bytes.
    Reading to the end raises CodecError or VerificationError when anything is missing or altered.
    """
    if source.backup.codecs or source.backup.manifest:
        plain = decode_all(stored, decoders(source.backup.codecs, passphrase, prompt))
        said = source.dump
        return PeekableReader(CheckedReader(plain, said.size, said.sha256, source.backup.name) if said else plain)
    dump = PeekableReader(stored)
    while name := detect(dump.peek(4096), get_settings().codecs):
        (codec,) = decoders([name], passphrase, prompt)
        dump = PeekableReader(codec.decode(dump))
    return dump
