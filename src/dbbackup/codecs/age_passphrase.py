"""The age format with a passphrase, as a stream; pyrage has this form only for bytes that are all in memory.

The format is specified in age-encryption.org/v1 (https://c2sp.org/age): a header that holds a random file key
wrapped with scrypt and ChaCha20-Poly1305, and a payload of chunks of 64 KiB, each encrypted by itself under a
nonce that counts them and marks the last one.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from dbbackup.codecs.base import KeyUnavailable
from dbbackup.exceptions import CodecError, ConfigurationError
from dbbackup.streams import PeekableReader

VERSION_LINE = b"age-encryption.org/v1\n"
HEADER_SIZE = 256
"""Bytes; more than any header with a passphrase has."""

_SCRYPT_STANZA = VERSION_LINE + b"-> scrypt "
_HEADER = re.compile(
    rb"(?P<authentic>" + re.escape(_SCRYPT_STANZA) + rb"(?P<salt>[A-Za-z0-9+/]{22}) (?P<log_n>[1-9]\d?)\n"
    rb"(?P<body>[A-Za-z0-9+/]{43})\n---) (?P<mac>[A-Za-z0-9+/]{43})\n"
)
_SCRYPT_LABEL = b"age-encryption.org/v1/scrypt"
# The age program's own choice: a second, and 256 MiB that are given back before the first byte flows.
_LOG_N = 18
# The age program's limit too: a message from elsewhere may ask for 4 GiB, but not for more.
_MAX_LOG_N = 22
_BLOCK_SIZE = 8
_CHUNK = 64 * 1024
_TAG = 16
_NONCE = 16


def extra_missing() -> ConfigurationError:
    """Return the error that tells how to install what age needs."""
    return ConfigurationError('The codec age needs more packages: pip install "dbbackup-django[age]"')


def is_meant(head: bytes) -> bool:
    """Return whether a message that begins with ``head`` was encrypted with a passphrase."""
    return head.startswith(_SCRYPT_STANZA)


def encrypt(source: PeekableReader, passphrase: str, log_n: int = _LOG_N) -> Iterator[bytes]:
    """Yield the encrypted message of ``source``; ``log_n`` is the work factor, doubling with each step."""
    cipher = _cipher()
    file_key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(_NONCE)
    wrapped = cipher(_wrapping_key(passphrase, salt, log_n)).encrypt(bytes(12), file_key, None)
    header = _SCRYPT_STANZA + b"%s %d\n%s\n---" % (_base64(salt), log_n, _base64(wrapped))
    yield header + b" %s\n" % _base64(_mac(file_key, header)) + nonce
    seal = cipher(_derive(file_key, nonce, b"payload")).encrypt
    for number, is_last, chunk in _numbered(source, _CHUNK):
        yield seal(_stream_nonce(number, is_last=is_last), chunk, None)


def decrypt(source: PeekableReader, passphrase: str) -> Iterator[bytes]:
    """Yield the plain bytes of a message.

    Raise KeyUnavailable for the wrong passphrase, CodecError for anything damaged, cut off or added.
    """
    cipher = _cipher()
    header = _HEADER.match(source.peek(HEADER_SIZE))
    if header is None or int(header["log_n"]) > _MAX_LOG_N:
        raise _damaged("its header is malformed")
    source.read(header.end())
    file_key = _unwrap(cipher, header, passphrase)
    if not hmac.compare_digest(_mac(file_key, header["authentic"]), _bytes(header["mac"])):
        raise _damaged("its header was altered")
    nonce = source.read(_NONCE)
    open_chunk = cipher(_derive(file_key, nonce, b"payload")).decrypt
    for number, is_last, chunk in _numbered(source, _CHUNK + _TAG):
        plain = _opened(open_chunk, _stream_nonce(number, is_last=is_last), chunk)
        if not plain and number:
            raise _damaged("it ends in an empty chunk")
        yield plain


def _numbered(source: PeekableReader, size: int) -> Iterator[tuple[int, bool, bytes]]:
    """Yield each chunk of ``size`` bytes with its number and whether it is the last; an empty one for no bytes."""
    number, is_last = 0, False
    while not is_last:
        chunk = source.read(size)
        is_last = not source.peek(1)
        yield number, is_last, chunk
        number += 1


def _unwrap(cipher: Any, header: re.Match[bytes], passphrase: str) -> bytes:
    salt, body = _bytes(header["salt"]), _bytes(header["body"])
    try:
        wrapping_key = _wrapping_key(passphrase, salt, int(header["log_n"]))
    except (ValueError, MemoryError) as exc:
        raise CodecError(f"There is not enough memory for the work factor of the age message: {exc}.") from exc
    try:
        return _opened(cipher(wrapping_key).decrypt, bytes(12), body)
    except CodecError as exc:
        raise KeyUnavailable("The passphrase is not that of the age message.") from exc


def _opened(decrypt: Callable[[bytes, bytes, None], bytes], nonce: bytes, sealed: bytes) -> bytes:
    try:
        return decrypt(nonce, sealed, None)
    except import_module("cryptography.exceptions").InvalidTag as exc:
        raise _damaged("a chunk was altered, cut off, or something follows it") from exc


def _wrapping_key(passphrase: str, salt: bytes, log_n: int) -> bytes:
    cost = 1 << log_n
    # OpenSSL's limit is meant for servers; it counts a little more than the 128 bytes per step and block.
    limit = 128 * _BLOCK_SIZE * (cost + 64)
    return hashlib.scrypt(
        passphrase.encode(), salt=_SCRYPT_LABEL + salt, n=cost, r=_BLOCK_SIZE, p=1, dklen=32, maxmem=limit
    )


def _mac(file_key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derive(file_key, b"", b"header"), header, "sha256")


def _derive(key: bytes, salt: bytes, info: bytes) -> bytes:
    """Return 32 bytes by HKDF with SHA-256 (RFC 5869), of which that is a single block."""
    extracted = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def _stream_nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


def _base64(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False).rstrip(b"=")


def _bytes(text: bytes) -> bytes:
    data = binascii.a2b_base64(text + b"=" * (-len(text) % 4))
    if _base64(data) != text:
        raise _damaged("its header is malformed")
    return data


def _damaged(how: str) -> CodecError:
    return CodecError(f"The age message is damaged: {how}.")


def _cipher() -> Any:
    try:
        return import_module("cryptography.hazmat.primitives.ciphers.aead").ChaCha20Poly1305
    except ImportError as exc:
        raise extra_missing() from exc
