"""What every codec has in common."""

from __future__ import annotations

from typing import Any, BinaryIO

from dbbackup.exceptions import CodecError, ConfigurationError

COMPRESSION = "compression"
ENCRYPTION = "encryption"


class KeyUnavailable(CodecError, ConfigurationError):
    """No key or passphrase at hand opens what was encrypted; elsewhere it may open."""


class Codec:
    """Turns bytes into fewer or secret bytes, and back.

    Keyword arguments are the declared ``options``; each overrides the class attribute of its name.
    ConfigurationError is raised for any other.
    """

    name: str
    """How settings, the command line and manifests call it."""
    suffix: str
    """What it adds to a file name, with the dot."""
    kind: str
    """COMPRESSION or ENCRYPTION."""
    magic: tuple[bytes, ...] = ()
    """The first bytes of what it writes; any one of them."""
    options: tuple[str, ...] = ()
    """The keyword arguments it takes."""
    decode_by_hand: str = ""
    """The stock program that decodes from stdin to stdout, as a shell command.

    Where there is none, the shell line in a manifest names a ``decode-NAME`` that stands for it.
    """

    def __init__(self, **options: Any) -> None:
        unknown = sorted(options.keys() - set(self.options))
        if unknown:
            known = f"it has {', '.join(self.options)}" if self.options else "it has none"
            raise ConfigurationError(f"The codec {self.name} does not have options: {', '.join(unknown)} ({known}).")
        for option, value in options.items():
            setattr(self, option, value)

    def encode(self, source: BinaryIO) -> BinaryIO:
        """Return a reader of the encoded bytes of ``source``, which it owns."""
        raise NotImplementedError("subclasses of Codec must provide an encode() method.")

    def decode(self, source: BinaryIO) -> BinaryIO:
        """Return a reader of the decoded bytes of ``source``, which it owns.

        The reader raises CodecError instead of the end when the source is cut, altered, or followed by
        anything else, wherever that happens; KeyUnavailable where only a key is missing.
        """
        raise NotImplementedError("subclasses of Codec must provide a decode() method.")

    @classmethod
    def matches(cls, head: bytes) -> bool:
        """Return whether something that begins with ``head`` was written by this codec."""
        return head.startswith(cls.magic)
