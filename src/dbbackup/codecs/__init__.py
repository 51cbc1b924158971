"""Bytes into fewer or secret bytes and back; the one file that knows every codec."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import lru_cache
from importlib import import_module
from typing import BinaryIO

from dbbackup.codecs.base import COMPRESSION, ENCRYPTION, Codec, KeyUnavailable
from dbbackup.exceptions import ConfigurationError
from dbbackup.streams import StreamReader, cancel, pull

__all__ = [
    "CODECS",
    "COMPRESSION",
    "ENCRYPTION",
    "Codec",
    "KeyUnavailable",
    "codec_class",
    "codec_classes",
    "decode_all",
    "detect",
    "encode_all",
    "split_suffixes",
]

CODECS = {
    "gzip": "dbbackup.codecs.gzip.GzipCodec",
    "zstd": "dbbackup.codecs.zstd.ZstdCodec",
    "gpg": "dbbackup.codecs.gpg.GpgCodec",
    "age": "dbbackup.codecs.age.AgeCodec",
}
"""The dotted path of each codec by its name. The functions below take others as ``extra``."""

_NONE: Mapping[str, str] = {}


def codec_class(name: str, extra: Mapping[str, str] = _NONE) -> type[Codec]:
    """Return the codec of this name; ConfigurationError when there is none."""
    paths = {**CODECS, **extra}
    if name not in paths:
        raise ConfigurationError(f"There is no codec {name!r}. There are: {', '.join(sorted(paths))}.")
    return _load(paths[name])


def codec_classes(extra: Mapping[str, str] = _NONE) -> dict[str, type[Codec]]:
    """Return every codec by its name."""
    return {name: _load(path) for name, path in {**CODECS, **extra}.items()}


def split_suffixes(filename: str, extra: Mapping[str, str] = _NONE) -> tuple[str, list[str]]:
    """Return a file name without the suffixes of codecs, and these codecs in the order they were applied.

    ``a.sqlite3.zst.age`` gives ``a.sqlite3`` and zstd, age.
    """
    names: list[str] = []
    while found := _by_suffix(filename, extra):
        name, suffix = found
        names.insert(0, name)
        filename = filename.removesuffix(suffix)
    return filename, names


def detect(head: bytes, extra: Mapping[str, str] = _NONE) -> str | None:
    """Return the name of the codec that wrote what begins with ``head``, None when no codec did."""
    return next((name for name, codec in codec_classes(extra).items() if codec.matches(head)), None)


def encode_all(source: BinaryIO, codecs: Sequence[Codec]) -> BinaryIO:
    """Return a reader of ``source`` encoded by each codec in turn; closing it closes every stage and the source.

    When a codec refuses, what there is so far is closed before its error is raised.
    """
    return _through(source, [codec.encode for codec in codecs])


def decode_all(source: BinaryIO, codecs: Sequence[Codec]) -> BinaryIO:
    """Return a reader of what encode_all() was given; ``codecs`` are in the order in which they encoded."""
    return _through(source, [codec.decode for codec in reversed(codecs)])


def _through(source: BinaryIO, steps: Sequence[Callable[[BinaryIO], BinaryIO]]) -> BinaryIO:
    stages = [source]
    with ExitStack() as made:
        made.callback(_close, stages)
        for step in steps:
            stages.append(step(stages[-1]))
        made.pop_all()
    return _Chain(stages) if steps else source


class _Chain(StreamReader):
    """The last of several stages, which closes and cancels all of them.

    Ours do so by themselves; a codec from elsewhere may return a reader that does not know its source.
    """

    def __init__(self, stages: Sequence[BinaryIO]) -> None:
        self._stages = stages
        super().__init__(stages[-1])

    def _next_chunk(self) -> bytes:
        return pull(self._stages[-1])

    def cancel(self, *, force: bool = False) -> None:
        for stage in self._stages:
            cancel(stage, force=force)

    def _release(self) -> None:
        _close(self._stages)


def _close(stages: Sequence[BinaryIO]) -> None:
    with ExitStack() as last_first:
        for stage in stages:
            last_first.callback(stage.close)


def _by_suffix(filename: str, extra: Mapping[str, str]) -> tuple[str, str] | None:
    for name, codec in codec_classes(extra).items():
        if filename.endswith(codec.suffix) and filename != codec.suffix:
            return name, codec.suffix
    return None


@lru_cache
def _load(path: str) -> type[Codec]:
    module, _, name = path.rpartition(".")
    try:
        codec = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as exc:
        raise ConfigurationError(f"The codec {path!r} cannot be imported: {exc}.") from exc
    if not (isinstance(codec, type) and issubclass(codec, Codec)):
        raise ConfigurationError(f"{path!r} is not a codec: it must be a subclass of dbbackup.codecs.base.Codec.")
    return codec
