"""What an operation tells while it runs: one callback that every face of the program shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from dbbackup.streams import CountingReader


@dataclass(frozen=True)
class Progress:
    """One step of an operation on one database or backup."""

    operation: str
    """"dumping", "verifying" or "restoring"."""
    subject: str
    done: int
    """Bytes moved so far."""
    total: int | None
    """Bytes in all, where known."""


ProgressCallback = Callable[[Progress], None]


def watched(
    source: BinaryIO,
    report: ProgressCallback | None,
    operation: str,
    subject: str,
    total: int | None = None,
) -> BinaryIO:
    """Return a reader around ``source`` that reports every chunk that passes."""
    if report is None:
        return source
    report(Progress(operation, subject, 0, total))
    return CountingReader(source, lambda done: report(Progress(operation, subject, done, total)))
