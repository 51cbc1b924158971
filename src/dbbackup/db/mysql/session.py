"""The programs of one operation on one database: what they are, how they log in, what they are asked."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dbbackup.db.mysql.login import Login
from dbbackup.db.mysql.names import rows
from dbbackup.db.mysql.tools import Tool, find_client
from dbbackup.db.watching import NoAnswer
from dbbackup.streams import StreamReader, Workspace, deadline

ANSWER_TIME = 60.0
"""Seconds that the server has for the answer to a question."""
CONNECT_TIME = 10
"""Seconds that it has to greet, where the settings give none."""

Start = Callable[[list[str], Mapping[str, str], BinaryIO | None], StreamReader]
"""Starts a program with arguments, an environment and an input, and returns its output as a stream."""


class Session:
    """One operation's access to a database; closing it removes the files with the password."""

    def __init__(
        self,
        login: Login,
        start: Start,
        *,
        directory: Path | None,
        path: str | None,
        home: str | None,
        client_cmd: str = "",
        lock_timeout: float = 30.0,
    ) -> None:
        """Take the PATH to find programs on, the home of the user, and the client that the settings name."""
        self.login = login
        self.path = path
        self.lock_timeout = lock_timeout
        self._start = start
        self._home = home
        self._client_cmd = client_cmd
        self._client: Tool | None = None
        self._workspace = Workspace(directory)

    def close(self) -> None:
        """Remove the temporary files."""
        self._workspace.close()

    @property
    def client(self) -> Tool:
        """Return the client to ask with: that of either flavour can ask."""
        if self._client is None:
            self._client = find_client(self._client_cmd, path=self.path)
        return self._client

    def prefer(self, *, mariadb: bool) -> None:
        """Have the client of this flavour from here on, where there is one."""
        self._client = find_client(self._client_cmd, mariadb=mariadb, path=self.path)

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment that hides the option files of the user's home, which would go before ours."""
        return {"HOME": str(self._workspace.path)}

    def command(self, tool: Tool) -> list[str]:
        """Return a program with the file that tells it how to log in; that must be the first of its options."""
        path = self._workspace.path / f"{tool.name}.cnf"
        if not path.exists():
            # Renamed when it is whole: a program that another thread starts at this moment reads it too.
            written = path.with_suffix(f".{threading.get_ident()}")
            written.touch(0o600)
            written.write_text(
                self.login.option_file(tool, home=self._home), encoding="utf-8", errors="surrogateescape"
            )
            written.rename(path)
        return [tool.path, f"--defaults-extra-file={path}"]

    def client_args(self) -> list[str]:
        r"""Return the client as it takes SQL from its input: no command of its own such as \! runs, errors end it."""
        wanted = {
            "binary-mode": "",
            "batch": "",
            "skip-column-names": "",
            "unbuffered": "",
            "max-allowed-packet": "=1G",
            # Otherwise it takes them out of routines, and cuts events and triggers off at one.
            "comments": "",
            # Of MySQL's newest clients, beside the binary mode.
            "commands": "=OFF",
        }
        options = self.client.known(wanted)
        if not self.login.options.get("connect_timeout"):
            options.append(f"--connect-timeout={CONNECT_TIME}")
        # A machine's option file may have it: errors would pass for success.
        options.append("--skip-force")
        # It would print rows into messages.
        options += self.client.known({"skip-print-query-on-error": ""})
        return [*self.command(self.client), *options, f"--database={self.login.database}"]

    @property
    def prelude(self) -> str:
        """Return the SQL that frees a connection from what a server or a website sets for its accounts."""
        wait = max(1, round(self.lock_timeout))
        return (
            f"SET SESSION lock_wait_timeout = {wait}, innodb_lock_wait_timeout = {wait}; "
            # An init_connect may have set each of them.
            "SET @dbbackup_row_limit = @@SESSION.sql_select_limit; SET SESSION TRANSACTION READ WRITE; "
            "SET SESSION autocommit = 1, sql_mode = '', sql_select_limit = 18446744073709551615; "
            "/*M!100100 SET SESSION max_statement_time = 0 */; /*!50708 SET SESSION max_execution_time = 0 */; "
            # Otherwise MySQL 8 says of a table when it was made as it was a day ago.
            "/*!80000 SET SESSION information_schema_stats_expiry = 0 */; "
        )

    @property
    def load_prelude(self) -> bytes:
        """Return the SQL that goes before a dump, so that it loads whatever was valid once."""
        # Dumps set both themselves, unless somebody has told them not to.
        own = "SET SESSION foreign_key_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'; "
        checks = f"{self.prelude}{own}/*M!100201 SET SESSION check_constraint_checks = 0 */; "
        # A table that is wider than the server would make now; MySQL lets only some accounts say so.
        return f"{checks}/*M!100000 SET SESSION innodb_strict_mode = 0 */; ".encode()

    def ask(self, sql: str, *, seconds: float = ANSWER_TIME) -> list[list[str]]:
        """Return the rows that SQL gives, as texts; NoAnswer if that takes longer than it may."""
        with self.run(sql) as output, answering(output, seconds):
            return list(rows(output.read().decode(errors="surrogateescape")))

    def run(self, sql: str) -> StreamReader:
        """Start to run SQL, and return what the client prints."""
        return self.start(self.client_args(), io.BytesIO((self.prelude + sql).encode(errors="surrogateescape")))

    def start(self, args: list[str], source: BinaryIO | None = None) -> StreamReader:
        """Start a program of the operation."""
        return self._start(args, self.variables, source)


@contextmanager
def answering(output: StreamReader, seconds: float) -> Iterator[None]:
    """Give the server that many seconds for what a block reads; raise NoAnswer after them."""
    try:
        with deadline(output, seconds):
            yield
    except TimeoutError as exc:
        raise NoAnswer(
            f"The server did not answer within {seconds:.0f} s. See whether it is overloaded or hangs."
        ) from exc
