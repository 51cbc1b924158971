"""The programs of one operation on one database: what they are, how they log in, what they are asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from dbbackup.db.exceptions import ConnectorError
from dbbackup.db.postgresql.login import Login
from dbbackup.db.postgresql.names import quote_name
from dbbackup.db.postgresql.tools import Tool, find_tool
from dbbackup.streams import Workspace

NO_LIMITS = "SET statement_timeout = 0; SET lock_timeout = 0;"
"""What a website sets for its role is not meant for this."""

Start = Callable[[list[str], Mapping[str, str], BinaryIO | None], BinaryIO]
"""Starts a program with arguments, an environment and an input, and returns its output as a stream."""


class Session:
    """One operation's access to a database; closing it removes the file with the password."""

    def __init__(
        self,
        login: Login,
        start: Start,
        *,
        directory: Path | None,
        environment: Mapping[str, str],
        path: str | None,
        psql_cmd: str = "",
        role: str = "",
    ) -> None:
        """Take the variables that go before the login's, the PATH to find programs on, and the role to become."""
        self.login = login
        self.role = role
        self.path = path
        self._start = start
        self._environment = environment
        self._psql_cmd = psql_cmd
        self._psql: Tool | None = None
        self._workspace = Workspace(directory)

    def close(self) -> None:
        """Remove the temporary files."""
        self._workspace.close()

    @property
    def folder(self) -> Path:
        """Return a private folder that lives as long as the session."""
        return self._workspace.path

    @property
    def psql(self) -> Tool:
        """Return the psql to ask with: any version can ask."""
        if self._psql is None:
            self._psql = find_tool("psql", self._psql_cmd, path=self.path)
        return self._psql

    def environment(self, login: Login | None = None) -> dict[str, str]:
        """Return the variables for a program, those of the connector's settings last."""
        # A dump's encoding does not depend on what this process's terminal can show.
        ours = {"PGCLIENTENCODING": "", **(login or self.login).environment(self.folder)}
        # A password among the settings' variables is that of the database's own user.
        hidden = set() if login is None or login == self.login else {"PGPASSWORD"}
        return {**ours, **{key: value for key, value in self._environment.items() if key not in hidden}}

    @property
    def set_role(self) -> str:
        """Return the SQL that makes a session become the role, for which psql has no flag."""
        return f"SET ROLE {quote_name(self.role)};" if self.role else ""

    def psql_args(self, login: Login | None = None, application: str = "dbbackup") -> list[str]:
        """Return a psql that reads no startup file, stops at the first error and prints nothing but rows."""
        quiet = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]
        return [self.psql.path, *quiet, *(login or self.login).connection(application)]

    def start(self, args: list[str], source: BinaryIO) -> BinaryIO:
        """Start a program that turns a stream into another."""
        return self._start(args, self.environment(), source)

    def execute(self, sql: str, login: Login | None = None) -> bytes:
        """Run SQL, by default as the user and role of the operation, and return the rows as psql prints them."""
        commands = [NO_LIMITS, sql] if login or not self.role else [NO_LIMITS, self.set_role, sql]
        env = {**self.environment(login), "PGCLIENTENCODING": "UTF8"}
        args = [*self.psql_args(login), *(f"--command={command}" for command in commands)]
        with closing(self._start(args, env, None)) as output:
            return output.read()

    def ask(self, questions: Mapping[str, str]) -> dict[str, Any]:
        """Return the answers to several queries, each an expression of one JSON value, in one round trip."""
        parts = ", ".join(f"'{key}', ({sql})" for key, sql in questions.items())
        said = self.execute(f"SELECT pg_catalog.json_build_object({parts})")
        try:
            answers: dict[str, Any] = json.loads(said.decode(errors="replace"))
        except ValueError as exc:
            raise ConnectorError(f"{self.psql} did not answer with JSON: {said[:80]!r}.") from exc
        return answers
