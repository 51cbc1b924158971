"""A connector and a codec that are not in the package, as others would write them: one file each."""

from __future__ import annotations

import bz2
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from dbbackup.codecs.base import COMPRESSION, Codec
from dbbackup.db.base import BaseDBConnector
from dbbackup.db.exceptions import RestoreError
from dbbackup.exceptions import CodecError
from dbbackup.streams import IteratorReader, chunks


class JsonConnector(BaseDBConnector):
    """A database that is a JSON file, by a connector written for django-dbbackup: it seeks in its dump."""

    extension = "json"
    indent: int = 2

    def _create_dump(self) -> BinaryIO:
        rows = json.loads(Path(self.settings["NAME"]).read_text())
        return io.BytesIO(json.dumps(rows, indent=self.indent).encode())

    def _restore_dump(self, dump: BinaryIO) -> None:
        dump.seek(0)
        try:
            rows: Any = json.load(dump)
        except ValueError as exc:
            raise RestoreError(f"Not the JSON of a database: {exc}.") from exc
        Path(self.settings["NAME"]).write_text(json.dumps(rows))


class Bzip2Codec(Codec):
    """bzip2 from the standard library."""

    name = "bzip2"
    suffix = ".bz2"
    kind = COMPRESSION
    magic = (b"BZh",)
    options = ("level",)
    decode_by_hand = "bzip2 -dc"
    level = 9

    def encode(self, source: BinaryIO) -> BinaryIO:
        return IteratorReader(self._compressed(source), source)

    def decode(self, source: BinaryIO) -> BinaryIO:
        return IteratorReader(self._decompressed(source), source)

    def _compressed(self, source: BinaryIO) -> Iterator[bytes]:
        compressor = bz2.BZ2Compressor(self.level)
        for chunk in chunks(source):
            yield compressor.compress(chunk)
        yield compressor.flush()

    def _decompressed(self, source: BinaryIO) -> Iterator[bytes]:
        decompressor = bz2.BZ2Decompressor()
        for chunk in chunks(source):
            try:
                yield decompressor.decompress(chunk)
            except (OSError, EOFError) as exc:
                raise CodecError(f"The bzip2 data is damaged: {exc}.") from exc
        if not decompressor.eof or decompressor.unused_data:
            raise CodecError("The bzip2 data is cut off, or something follows it.")
