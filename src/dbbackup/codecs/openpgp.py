"""The framing of OpenPGP messages (RFC 9580, section 4.2), as far as it shows where a message ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from dbbackup.exceptions import CodecError
from dbbackup.streams import chunks

# Packets of encrypted data; a message ends with one.
_ENCRYPTED_DATA = {9, 18, 20}

# First bytes, in the old form and the new, of the packets that hold a session key, with the versions there are:
# packet 1 is for a public key, packet 3 for a passphrase.
_SESSION_KEYS = {0x84: (3, 6), 0x85: (3, 6), 0xC1: (3, 6), 0x8C: (4, 5, 6), 0xC3: (4, 5, 6)}
_OLD_TWO_BYTE_LENGTH = 0x85


def begins_message(head: bytes) -> bool:
    """Return whether ``head`` begins with a packet that holds a session key, as encrypted messages do."""
    if len(head) < 4:
        return False
    two_byte_length = head[0] == _OLD_TWO_BYTE_LENGTH or (head[0] & 0x40 and head[1] >= 192)
    version = head[3] if two_byte_length else head[2]
    return version in _SESSION_KEYS.get(head[0], ())


def whole_message(source: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of ``source``; raise CodecError unless they end where the encrypted data does.

    gpg says nothing when the first bytes of another packet follow.
    """
    frames = _Frames()
    for chunk in chunks(source):
        frames.feed(chunk)
        yield chunk
    if not frames.complete:
        raise CodecError("The gpg message is cut off.")


class _Frames:
    """Follows the lengths of packets; ``complete`` says whether the message may end here."""

    def __init__(self) -> None:
        self.complete = False
        self._header = b""
        self._missing = 0
        self._is_data = False
        # The encrypted data comes in parts of which each but the last announces another.
        self._is_partial = False
        self._is_endless = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Raise CodecError when the message has ended before them."""
        position = 0
        while position < len(chunk) and not self._is_endless:
            if self.complete:
                raise CodecError("Something follows the gpg message.")
            if self._missing:
                step = min(self._missing, len(chunk) - position)
                self._missing -= step
                position += step
            else:
                self._header += chunk[position : position + 1]
                position += 1
                if self._read_header():
                    self._header = b""
            self.complete = self._is_data and not (self._missing or self._header or self._is_partial)

    def _read_header(self) -> bool:
        """Return whether the header is all there, and then take what it says."""
        if self._is_partial:
            return self._read_new_length(self._header)
        tag, length = self._header[0], self._header[1:]
        is_new = bool(tag & 0x40)
        self._is_data = (tag & 0x3F if is_new else tag >> 2 & 0x0F) in _ENCRYPTED_DATA
        return self._read_new_length(length) if is_new else self._read_old_length(tag & 3, length)

    def _read_old_length(self, kind: int, length: bytes) -> bool:
        if kind == 3:
            # Up to the end of the file, wherever that is.
            self.complete = self._is_endless = True
            return True
        self._missing = int.from_bytes(length, "big") if len(length) == 1 << kind else 0
        return len(length) == 1 << kind

    def _read_new_length(self, length: bytes) -> bool:
        if not length:
            return False
        first = length[0]
        is_partial = 224 <= first < 255
        size = 2 if 192 <= first < 224 else 5 if first == 255 else 1
        if len(length) < size:
            return False
        if is_partial:
            self._missing = 1 << (first & 0x1F)
        elif size == 2:
            self._missing = ((first - 192) << 8) + length[1] + 192
        else:
            self._missing = int.from_bytes(length[1:], "big") if size == 5 else first
        self._is_partial = is_partial
        return True
