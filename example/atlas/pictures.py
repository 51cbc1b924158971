"""Small pictures for the journals, made without an image library."""

from __future__ import annotations

import struct
import zlib

SIDE = 48
"""Width and height, in pixels."""


def png(seed: int) -> bytes:
    """Return a PNG file with a colour gradient of its own for every seed."""
    rows = b"".join(b"\0" + b"".join(_pixel(seed, x, y) for x in range(SIDE)) for y in range(SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data) for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )


def _pixel(seed: int, x: int, y: int) -> bytes:
    return bytes(value % 256 for value in (seed * 37 + x * 5, y * 5, seed))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
