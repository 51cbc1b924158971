"""The shell lines that restore without this package."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from dbbackup.db.mongodb.login import Login


def by_hand(login: Login, found: Mapping[str, str], *chosen: str) -> str:
    """Return the command that restores what is ``chosen`` by these arguments, and asks for the password.

    ``found`` is what a session found out about the server.
    """
    words = ["mongorestore", *chosen, "--drop", "--objcheck"]
    return f"{shlex.join(words)} {login.by_hand(**found)}"


def careful(*, bypass: bool) -> list[str]:
    """Return the arguments that a restore always has: in order, ended by the first error.

    With ``bypass``, documents come back that were valid once, whatever the validator says now.
    """
    return ["--maintainInsertionOrder", *(["--bypassDocumentValidation"] if bypass else [])]


def pattern(database: str) -> str:
    """Return what stands for everything in a database, in the tools' own way to write that."""
    return database.replace("\\", "\\\\").replace("*", "\\*") + ".*"
