"""How a restore is done: what options and flags say, in one value."""

from __future__ import annotations

from dataclasses import dataclass

from dbbackup.db.postgresql.login import Login
from dbbackup.db.postgresql.options import selective


@dataclass(frozen=True)
class Choices:
    """How a restore is done."""

    single_transaction: bool = True
    drop: bool = True
    exact: bool = False
    schemas: tuple[str, ...] = ()
    """Only these of the dump; empty for all."""
    scope: tuple[str, ...] = ()
    """What ``exact`` is limited to; empty for the whole database."""
    partial: bool = False
    """Whether the dump is known to have only some schemas of its database."""
    jobs: int = 1
    role: str = ""
    pg_options: tuple[str, ...] = ()
    restore_cmd: str = ""
    extensions: tuple[str, ...] = ()
    """Extensions that the dump takes for granted."""
    admin: Login | None = None
    terminate: bool = False
    lock_timeout: float = 30.0

    @property
    def selective(self) -> list[str]:
        """Return the options for pg_restore that take a part of the backup only."""
        return selective(self.pg_options)

    @property
    def drops(self) -> bool:
        """Return whether each object of the dump is dropped first; ``exact`` takes out everything before."""
        return self.drop and not self.exact

    @property
    def whole(self) -> bool:
        """Return whether everything happens in one transaction."""
        return (self.single_transaction or self.exact) and self.jobs == 1
