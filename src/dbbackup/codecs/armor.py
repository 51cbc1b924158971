"""ASCII armour: the frame that OpenPGP and age put around base64."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from typing import BinaryIO

from dbbackup.exceptions import CodecError
from dbbackup.streams import PeekableReader, chunks

PGP_BEGIN = b"-----BEGIN PGP MESSAGE-----"
_PGP_END = b"-----END PGP MESSAGE-----"
AGE_BEGIN = b"-----BEGIN AGE ENCRYPTED FILE-----"
_AGE_END = b"-----END AGE ENCRYPTED FILE-----"

# How the last line may end, as far as it has been read.
_NEWLINES = {b"", b"\r", b"\n", b"\r\n"}


def whole_pgp_message(source: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of an armoured ``source``; raise CodecError unless the message ends with the source.

    The last line counts, its newline included. What is before it, gpg checks.
    """
    # What may yet turn out to be the last line is looked at again with the next chunk.
    keep = len(_PGP_END) + len(b"\r\n")
    tail = b""
    for chunk in chunks(source):
        tail += chunk
        position = tail.find(_PGP_END)
        if position >= 0 and tail[position + len(_PGP_END) :] not in _NEWLINES:
            raise CodecError("Something follows the gpg message.")
        tail = tail[-keep:]
        yield chunk
    if not tail.endswith((_PGP_END + b"\n", _PGP_END + b"\r\n")):
        raise CodecError(f"The gpg message is cut off: its last line is not {_PGP_END.decode()}.")


def age_content(source: PeekableReader) -> Iterator[bytes]:
    """Yield the binary content of an armoured ``source``.

    Raise CodecError when its first or last line is missing, for anything but base64 between them, and for
    anything before or after them.
    """
    damaged = CodecError("The age message is damaged or cut off: its ASCII armour is not complete.")
    if source.readline(len(AGE_BEGIN) + 2).rstrip(b"\r\n") != AGE_BEGIN:
        raise damaged
    base64, padded, last = b"", False, b""
    for chunk in chunks(source):
        body, dash, rest = chunk.partition(b"-") if not last else (b"", b"", chunk)
        last += dash + rest
        base64 += body.translate(None, b"\r\n")
        usable = len(base64) // 4 * 4
        if (base64 and padded) or len(last) > len(_AGE_END) + 2:
            raise damaged
        try:
            yield binascii.a2b_base64(base64[:usable], strict_mode=True)
        except binascii.Error as exc:
            raise damaged from exc
        padded = padded or base64[:usable].endswith(b"=")
        base64 = base64[usable:]
    if base64 or last not in {_AGE_END + b"\n", _AGE_END + b"\r\n"}:
        raise damaged
