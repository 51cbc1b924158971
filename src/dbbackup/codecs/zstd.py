"""Zstandard (RFC 8878), by the standard library from Python 3.14 on, by its backport before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from dbbackup.codecs.base import COMPRESSION, Codec
from dbbackup.codecs.members import Decompressor, decode_members
from dbbackup.exceptions import ConfigurationError
from dbbackup.streams import IteratorReader, chunks

# More threads find no work: two at level 3 are faster than most dump tools.
_WORKERS = 2
# Bytes that a worker takes at a time. zstd's own choice, 8 MiB at level 3, takes 67 MB of memory for two
# workers and gives 0.1 % in size; 2 MiB take 21 MB.
_JOB_SIZE = 2 * 1024 * 1024


class ZstdCodec(Codec):
    """Compress with Zstandard in two worker threads."""

    name = "zstd"
    suffix = ".zst"
    kind = COMPRESSION
    magic = (b"\x28\xb5\x2f\xfd",)
    options = ("level",)
    decode_by_hand = "zstd -dc"

    level: int = 3
    """1 to 22, from fast to small, negative for faster yet. From 9 on the memory grows: 40 MB, 215 MB at 19."""

    def encode(self, source: BinaryIO) -> BinaryIO:
        """Return a reader of one frame with a checksum."""
        zstd = _library()
        parameter = zstd.CompressionParameter
        parameters = {
            parameter.compression_level: self.level,
            parameter.checksum_flag: 1,
            parameter.nb_workers: _WORKERS,
            parameter.job_size: _JOB_SIZE,
        }
        if parameter.nb_workers.bounds()[1] == 0:
            # A libzstd that was built without threads refuses both.
            del parameters[parameter.nb_workers], parameters[parameter.job_size]
        try:
            compressor = zstd.ZstdCompressor(options=parameters)
        except (TypeError, ValueError) as exc:
            raise ConfigurationError(f"zstd refuses the level {self.level!r}: {exc}.") from exc

        def compressed() -> Iterator[bytes]:
            for chunk in chunks(source):
                yield compressor.compress(chunk)
            yield compressor.flush()

        return IteratorReader(compressed(), source)

    def decode(self, source: BinaryIO) -> BinaryIO:
        """Return a reader of the plain bytes of every frame, each checked against its checksum if it has one."""
        zstd = _library()

        def member() -> Decompressor:
            decompressor: Decompressor = zstd.ZstdDecompressor()
            return decompressor

        return IteratorReader(decode_members(source, member, zstd.ZstdError, "zstd"), source)


def _library() -> Any:
    if TYPE_CHECKING or sys.version_info < (3, 14):
        from backports import zstd
    else:
        from compression import zstd
    return zstd
