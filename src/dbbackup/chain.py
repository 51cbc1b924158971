"""The codecs of a run, in order, with the project's keys."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any

from dbbackup.codecs import codec_class
from dbbackup.codecs.base import COMPRESSION, ENCRYPTION, Codec
from dbbackup.conf import get_settings, passphrase
from dbbackup.exceptions import UsageError

CodecChoice = str | bool | None
"""The name of a codec; True for the plain flag (gzip, gpg), False for none, None for what the settings say."""

_PLAIN_FLAG = {COMPRESSION: "gzip", ENCRYPTION: "gpg"}


def encoders(compress: CodecChoice, encrypt: CodecChoice) -> list[Codec]:
    """Return the codecs that a dump goes through, first to last.

    Raise UsageError for a codec of the other kind, ConfigurationError for one that does not exist.
    """
    settings = get_settings()
    compression = _name(compress, settings.compression, COMPRESSION)
    encryption = _name(encrypt, settings.encryption, ENCRYPTION)
    names = [name for name in (compression, encryption) if name]
    return [_make(name, compressed_input=compression is not None) for name in names]


def decoders(
    names: Sequence[str], given: str | None = None, prompt: Callable[[], str | None] | None = None
) -> list[Codec]:
    """Return the codecs that a stored backup went through, first to last, able to undo their work.

    A passphrase is the one given, else that of the environment, else what the prompt returns when one is needed.
    """
    return [_make(name, passphrase=given or passphrase(name), passphrase_prompt=prompt) for name in names]


def decode_line(name: str, codecs: Sequence[Codec], ending: str) -> str:
    """Return the shell line that undoes the codecs of a stored file with stock programs, then does ``ending``."""
    steps = [codec.decode_by_hand or f"decode-{codec.name}" for codec in reversed(codecs)] or ["cat"]
    steps[0] += f" < {shlex.quote(name)}"
    return f"{' | '.join(steps)} {ending}"


def _name(choice: CodecChoice, default: str | None, kind: str) -> str | None:
    if choice is None:
        name = default
    elif choice is True:
        # The plain --compress has always been gzip; the plain --encrypt is whatever the project has keys for.
        name = (default if kind == ENCRYPTION else None) or _PLAIN_FLAG[kind]
    else:
        name = choice or None
    if name is not None and codec_class(name, get_settings().codecs).kind != kind:
        raise UsageError(f"The codec {name!r} is not for {kind}.")
    return name


def _make(name: str, **run: Any) -> Codec:
    settings = get_settings()
    keys: dict[str, dict[str, Any]] = {
        "gpg": {
            "recipients": settings.gpg_recipient,
            "always_trust": settings.gpg_always_trust,
            "armor": settings.gpg_armor,
        },
        "age": {
            "recipients": settings.age_recipients,
            "identity_files": settings.age_identity_file,
            "passphrase": passphrase("age"),
        },
    }
    kind = codec_class(name, settings.codecs)
    options = {**keys.get(name, {}), **run}
    return kind(**{option: value for option, value in options.items() if option in kind.options})
