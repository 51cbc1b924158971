"""What an engine brings to the measurements: its databases, and how they are backed up by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from benchmarks.contenders import Places


class Engine(Protocol):
    """A database "source" with the rows, and a database "target" with a few others that restores go into."""

    connectors: Mapping[str, str]
    """The shapes of a dump, and the connector of each."""

    @property
    def version(self) -> str:
        """Return what is measured."""

    def fill(self, size: int) -> None:
        """Make the source, of about ``size`` bytes; the same size always gives the same rows."""

    def reset(self) -> None:
        """Make the target as every restore finds it."""

    def settings(self, database: str) -> Mapping[str, Any]:
        """Return the entry of Django's DATABASES for the source or the target."""

    def environment(self) -> Mapping[str, str]:
        """Return the variables for the chains built by hand."""

    def digest(self, database: str) -> str:
        """Return a hash of everything in a database, schema included."""

    def by_hand(self, shape: str, codec: str, places: Places) -> tuple[str, str]:
        """Return the shell lines of the backup and of the restore."""
