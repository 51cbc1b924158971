"""OpenPGP, by the gpg program."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO

from dbbackup.codecs import openpgp
from dbbackup.codecs.armor import PGP_BEGIN, whole_pgp_message
from dbbackup.codecs.base import ENCRYPTION, Codec, KeyUnavailable
from dbbackup.exceptions import CodecError, ConfigurationError, StreamError
from dbbackup.streams import IteratorReader, PeekableReader, ProgramReader, copy

_PROGRAM = ("gpg", "--batch", "--no-tty", "--yes", "--status-fd", "2", "--output", "-")
_STATUS = "[GNUPG:] "
# The packets that hold the session key come first; 64 KiB have room for dozens of recipients.
_HEAD_SIZE = 64 * 1024

# GnuPG's error codes (gpg-error.h), the lower 16 bits of the numbers in its status lines.
_BAD_PASSPHRASE = 11
_NO_PINENTRY = 85
# Why a recipient is refused (doc/DETAILS in GnuPG, INV_RECP).
_NOT_TRUSTED = "10"
_NOT_FOUND = {"0", "1"}
# Where ERROR lines come from when it is the secret key, or a passphrase alone, that does not open the message.
_KEY_OPERATIONS = {"pkdecrypt_failed", "get_passphrase", "symkey_decrypt.maybe_error"}


class GpgCodec(Codec):
    """Encrypt to OpenPGP keys of gpg's keyring; GNUPGHOME says which."""

    name = "gpg"
    suffix = ".gpg"
    kind = ENCRYPTION
    magic = (PGP_BEGIN,)
    options = ("recipients", "always_trust", "armor", "compressed_input", "passphrase", "passphrase_prompt")
    decode_by_hand = "gpg --decrypt"

    recipients: Sequence[str] = ()
    """Key ids, fingerprints or addresses."""
    always_trust: bool = False
    armor: bool = True
    """ASCII, as ever; it costs 35 % in size and four fifths of the speed of binary."""
    compressed_input: bool = False
    """Whether gpg's own compression, at 45 MB/s, would only cost time."""
    passphrase: str | None = None
    passphrase_prompt: Callable[[], str | None] | None = None
    """Asked only when the secret key turns out to need a passphrase."""

    def encode(self, source: BinaryIO) -> BinaryIO:
        """Return a reader of one encrypted message."""
        if not self.recipients:
            raise ConfigurationError(
                "There is no key to encrypt to. Set DBBACKUP_GPG_RECIPIENT to a key in gpg's keyring."
            )
        # A key that is not in the keyring is an error, and not to be fetched from wherever its address points.
        args = [*_PROGRAM, "--no-auto-key-locate", "--armor" if self.armor else "--no-armor"]
        if self.always_trust:
            args += ["--trust-model", "always"]
        if self.compressed_input:
            args += ["-z", "0"]
        for recipient in self.recipients:
            args += ["--recipient", recipient]
        return _Encrypting([*args, "--encrypt"], source=source)

    def decode(self, source: BinaryIO) -> BinaryIO:
        """Return a reader of the plain bytes of one message, armoured or not.

        Looks at its first bytes at once, and asks for the passphrase if it has to.
        """
        message = PeekableReader(source)
        head = message.peek(_HEAD_SIZE)
        # gpg itself overlooks text before and after a message, and a missing last line.
        if head.startswith(PGP_BEGIN):
            check = whole_pgp_message
        elif openpgp.begins_message(head):
            check = openpgp.whole_message
        else:
            raise CodecError("This is not an encrypted gpg message, or its beginning is damaged.")
        passphrase = self.passphrase
        if passphrase is None and self.passphrase_prompt is not None and _needs_passphrase(head):
            passphrase = self.passphrase_prompt()
        return _decrypting(IteratorReader(check(message), message), passphrase)

    @classmethod
    def matches(cls, head: bytes) -> bool:
        """Return whether ``head`` begins an armoured message, or a packet that holds a session key."""
        return super().matches(head) or openpgp.begins_message(head)


class _GpgReader(ProgramReader):
    """gpg's output, with errors that gpg's status lines explain in every language."""

    def failure(self, returncode: int, stderr: str) -> Exception:
        said = [line.rstrip() for line in stderr.splitlines() if line.startswith("gpg: ")]
        quoted = said[-1].removeprefix("gpg: ").rstrip(".") if said else f"exit status {returncode}"
        return self.explain(_status(stderr), quoted)

    def explain(self, status: Sequence[Sequence[str]], quoted: str) -> Exception:
        """Return the error for these status lines; ``quoted`` is the last line that gpg wrote for people."""
        raise NotImplementedError


class _Encrypting(_GpgReader):
    def explain(self, status: Sequence[Sequence[str]], quoted: str) -> Exception:
        for keyword, *words in status:
            if keyword == "INV_RECP":
                reason, recipient = words[0], " ".join(words[1:])
                return ConfigurationError(_refused(reason, recipient, quoted))
        return CodecError(f"gpg cannot encrypt: {quoted}.")


class _Decrypting(_GpgReader):
    def _next_chunk(self) -> bytes:
        chunk = super()._next_chunk()
        if not chunk and f"{_STATUS}DECRYPTION_OKAY" not in self.stderr_tail:
            # gpg passes on a message that is merely packed or signed, and is content.
            raise CodecError("The gpg message is not encrypted, though it should be.")
        return chunk

    def explain(self, status: Sequence[Sequence[str]], quoted: str) -> Exception:
        codes = _key_errors(status)
        if _BAD_PASSPHRASE in codes:
            return KeyUnavailable("gpg cannot decrypt: the passphrase is wrong.")
        if _NO_PINENTRY in codes:
            return KeyUnavailable(
                "gpg cannot decrypt: the secret key needs a passphrase. "
                "Give it with --passphrase, or in the environment variable DBBACKUP_GPG_PASSPHRASE."
            )
        missing = [words[1] for words in status if words[0] == "NO_SECKEY"]
        if missing and not any(words[0] == "DECRYPTION_INFO" for words in status):
            return KeyUnavailable(
                f"gpg cannot decrypt: the secret key {' or '.join(missing)} is not in its keyring. "
                "Import it, or set GNUPGHOME to the folder that has it."
            )
        return CodecError(f"The gpg message is damaged, or something follows it: {quoted}.")


def _decrypting(source: BinaryIO, passphrase: str | None) -> _Decrypting:
    if passphrase is None:
        # Nobody may be there to answer; gpg-agent is still asked for what it remembers.
        return _Decrypting([*_PROGRAM, "--pinentry-mode", "error", "--decrypt"], source=source)
    with _readable(passphrase.encode() + b"\n") as descriptor:
        args = ["--pinentry-mode", "loopback", "--passphrase-fd", str(descriptor), "--decrypt"]
        return _Decrypting([*_PROGRAM, *args], source=source, pass_fds=[descriptor])


def _needs_passphrase(head: bytes) -> bool:
    """Return whether gpg finds a secret key for the message that begins so, but cannot use it without a passphrase."""
    with _decrypting(io.BytesIO(head), None) as trial:
        with suppress(CodecError, StreamError):
            copy(trial, lambda _: None)
        return _NO_PINENTRY in _key_errors(_status(trial.stderr_tail))


def _status(stderr: str) -> list[list[str]]:
    """Return the words of each status line: a keyword and what belongs to it."""
    lines = [line.removeprefix(_STATUS) for line in stderr.splitlines() if line.startswith(_STATUS)]
    return [line.split() for line in lines if line.strip()]


def _key_errors(status: Sequence[Sequence[str]]) -> set[int]:
    """Return GnuPG's codes for what went wrong with the secret keys or the passphrase."""
    errors = [words[2] for words in status if words[0] == "ERROR" and words[1] in _KEY_OPERATIONS]
    # A number, or a number with its name: 11_BAD_PASSPHRASE.
    return {int(code.partition("_")[0]) & 0xFFFF for code in errors}


@contextmanager
def _readable(data: bytes) -> Iterator[int]:
    """Give a descriptor from which ``data``, at most what a pipe holds, can be read."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"):
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)
        yield reading


def _refused(reason: str, recipient: str, quoted: str) -> str:
    if reason in _NOT_FOUND:
        return (
            f"gpg has no public key for {recipient!r} that is valid today. "
            "Import it, or correct DBBACKUP_GPG_RECIPIENT."
        )
    if reason == _NOT_TRUSTED:
        return f"gpg does not trust the key of {recipient!r}. Sign it, or set DBBACKUP_GPG_ALWAYS_TRUST = True."
    return f"gpg cannot encrypt to {recipient!r}: {quoted}."
