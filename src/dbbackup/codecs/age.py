"""The age format (age-encryption.org/v1), by pyrage and, for passphrases, by age_passphrase."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from dbbackup.codecs import age_passphrase
from dbbackup.codecs.armor import AGE_BEGIN, age_content
from dbbackup.codecs.base import ENCRYPTION, Codec, KeyUnavailable
from dbbackup.exceptions import CodecError, ConfigurationError
from dbbackup.streams import IteratorReader, PeekableReader, PushReader

# What pyrage.DecryptError says when the message is sound and only the key is another.
_NO_KEY = "No matching keys found"


class AgeCodec(Codec):
    """Encrypt to age or SSH keys, or with a passphrase when there are no recipients."""

    name = "age"
    suffix = ".age"
    kind = ENCRYPTION
    magic = (age_passphrase.VERSION_LINE, AGE_BEGIN)
    options = ("recipients", "identity_files", "passphrase", "passphrase_prompt")

    recipients: Sequence[str] = ()
    """Public keys: age1…, ssh-ed25519 …, ssh-rsa …"""
    identity_files: Sequence[str] = ()
    """Files of secret keys: as age-keygen writes them, or an SSH key without a passphrase."""
    passphrase: str | None = None
    passphrase_prompt: Callable[[], str | None] | None = None
    """Asked only for a message that was encrypted with a passphrase."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # age asks for a passphrase by itself, on the terminal.
        by_passphrase = self.passphrase and not self.recipients
        key_files = self.identity_files or () if by_passphrase else self.identity_files or ("KEY_FILE",)
        self.decode_by_hand = " ".join(["age --decrypt", *(f"-i {shlex.quote(str(name))}" for name in key_files)])

    def encode(self, source: BinaryIO) -> BinaryIO:
        """Return a reader of one encrypted message."""
        if self.recipients:
            return _encrypting(source, [_recipient(key) for key in self.recipients])
        if self.passphrase:
            plain = PeekableReader(source)
            return IteratorReader(age_passphrase.encrypt(plain, self.passphrase), plain)
        raise ConfigurationError(
            "There is no key to encrypt to. Set DBBACKUP_AGE_RECIPIENTS to the public key that age-keygen prints, "
            "or the environment variable DBBACKUP_AGE_PASSPHRASE to a passphrase."
        )

    def decode(self, source: BinaryIO) -> BinaryIO:
        """Return a reader of the plain bytes of one message, armoured or not.

        Looks at its first bytes at once, and asks for the passphrase if it has to.
        """
        message = PeekableReader(source)
        if message.peek(len(AGE_BEGIN)) == AGE_BEGIN:
            message = PeekableReader(IteratorReader(age_content(message), message))
        head = message.peek(age_passphrase.HEADER_SIZE)
        if not head.startswith(age_passphrase.VERSION_LINE):
            raise CodecError("This is not an age message, or its beginning is damaged.")
        if age_passphrase.is_meant(head):
            return IteratorReader(age_passphrase.decrypt(message, self._passphrase()), message)
        return _decrypting(message, self._identities())

    def _passphrase(self) -> str:
        passphrase = self.passphrase or (self.passphrase_prompt and self.passphrase_prompt())
        if not passphrase:
            raise KeyUnavailable(
                "The age message needs a passphrase. "
                "Give it with --passphrase, or in the environment variable DBBACKUP_AGE_PASSPHRASE."
            )
        return passphrase

    def _identities(self) -> list[Any]:
        if not self.identity_files:
            raise KeyUnavailable(
                "There is no key to decrypt with. Set DBBACKUP_AGE_IDENTITY_FILE to the file with the secret key."
            )
        return [identity for name in self.identity_files for identity in _identities_in(Path(name).expanduser())]


def _pyrage() -> Any:
    try:
        return import_module("pyrage")
    except ImportError as exc:
        raise age_passphrase.extra_missing() from exc


def _encrypting(source: BinaryIO, recipients: Sequence[Any]) -> BinaryIO:
    pyrage = _pyrage()

    def produce(writer: BinaryIO) -> None:
        plain = _Remembering(source)
        try:
            pyrage.encrypt_io(plain, writer, recipients)
        except (pyrage.EncryptError, OSError) as exc:
            raise plain.error or CodecError(f"age cannot encrypt: {_first_line(exc)}.") from exc

    return PushReader(produce, source)


def _decrypting(source: BinaryIO, identities: Sequence[Any]) -> BinaryIO:
    pyrage = _pyrage()

    def produce(writer: BinaryIO) -> None:
        message = _Remembering(source)
        try:
            pyrage.decrypt_io(message, writer, identities)
        except (pyrage.DecryptError, OSError) as exc:
            if message.error is not None:
                raise message.error from exc
            if str(exc) == _NO_KEY:
                raise KeyUnavailable(
                    "The age message was encrypted to other keys than those in DBBACKUP_AGE_IDENTITY_FILE."
                ) from exc
            raise CodecError(
                f"The age message is damaged, cut off, or something follows it: {_first_line(exc)}."
            ) from exc

    return PushReader(produce, source)


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0].rstrip(".")


class _Remembering:
    """What pyrage reads from: it keeps the error of its source, of which pyrage passes on only the text."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._source.read(size)
        except BaseException as exc:
            self.error = exc
            raise


def _recipient(key: str) -> Any:
    pyrage = _pyrage()
    kind = pyrage.ssh.Recipient if key.startswith("ssh-") else pyrage.x25519.Recipient
    try:
        return kind.from_str(key.strip())
    except pyrage.RecipientError as exc:
        raise ConfigurationError(
            f"DBBACKUP_AGE_RECIPIENTS: {key!r} is not a public key of age or SSH ({exc})."
        ) from exc


def _identities_in(path: Path) -> Iterator[Any]:
    """Yield every secret key in a file. No error shows what stands in it."""
    pyrage = _pyrage()
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ConfigurationError(f"The age key file {path} cannot be read: {exc.strerror or exc}.") from exc
    lines = [line.strip() for line in content.decode(errors="replace").splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    try:
        if content.lstrip().startswith(b"-----BEGIN"):
            yield pyrage.ssh.Identity.from_buffer(content)
        else:
            yield from map(pyrage.x25519.Identity.from_str, keys)
    except pyrage.IdentityError as exc:
        raise ConfigurationError(f"The age key file {path} cannot be used: {exc}.") from None
    if not keys:
        raise ConfigurationError(f"The age key file {path} holds no key.")
