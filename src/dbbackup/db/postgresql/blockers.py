"""Who stands in the way of an operation: shown, waited for until a deadline, ended only when asked."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dbbackup.db.exceptions import CommandConnectorError, DatabaseLockedError
from dbbackup.db.postgresql.errors import last_words
from dbbackup.db.postgresql.login import Login
from dbbackup.db.postgresql.names import quote_text
from dbbackup.db.postgresql.session import Session
from dbbackup.exceptions import DBBackupError

# Seconds between two looks.
_INTERVAL = 0.5
# Where nobody is in the way, the question is asked less and less often.
_LONGEST_INTERVAL = 4.0
# Seconds in all, and between two looks, to wait for sessions that have nothing left to do.
_PATIENCE = 10.0
_SHORT = 0.05


def new_application() -> str:
    """Return a name for the connections of one operation, which no other has."""
    return f"dbbackup {secrets.token_hex(8)}"


@dataclass(frozen=True)
class Blocker:
    """A session of the server that holds a lock."""

    pid: int
    user: str
    application: str
    state: str
    seconds: int

    def __str__(self) -> str:
        if not self.pid:
            return "a prepared transaction"
        application = f", {self.application}" if self.application else ""
        return f"process {self.pid} ({self.user}{application}, {self.state}, transaction of {self.seconds} s)"


class Watcher(threading.Thread):
    """Watches over an operation whose connections bear a name of their own, in a thread beside it."""

    def __init__(
        self,
        session: Session,
        application: str,
        *,
        operation: str,
        deadline: float,
        notify: Callable[[str], None],
        admin: Login | None = None,
        terminate: bool = False,
    ) -> None:
        """End the operation after ``deadline`` seconds behind others; with ``terminate`` end the others at once."""
        super().__init__(name="dbbackup-blockers", daemon=True)
        self._session = session
        self._application = quote_text(application)
        self._operation = operation
        self._deadline = deadline
        self._notify = notify
        self._admin = admin
        self._asked = self._terminate = terminate
        self._done = threading.Event()
        self._blocked_since: float | None = None
        self._shown: set[int] = set()
        self.gave_up: tuple[Blocker, ...] = ()
        """Those in whose favour the operation was ended."""

    def error(self) -> DatabaseLockedError:
        """Return the error of an operation that was ended: who was in the way, and what to do."""
        way_out = "" if self._asked or self._operation != "restore" else "pass --terminate-connections, "
        return DatabaseLockedError(
            f"The {self._operation} waited {self._deadline:g} s for {'; '.join(map(str, self.gave_up))}, and then "
            f"gave up. End them, {way_out}or raise DBBACKUP_LOCK_TIMEOUT."
        )

    def stop(self) -> None:
        """Stop watching, once the operation has ended."""
        self._done.set()
        if self.is_alive():
            self.join(_PATIENCE)

    def wait_for_end(self) -> None:
        """Wait until the server has ended the sessions of a restore, because only then it knows their rows."""
        deadline = time.monotonic() + _PATIENCE
        ours = self._ours("application_name")
        question = {"left": f"SELECT to_json(count(*)) FROM pg_stat_activity WHERE {ours}"}
        with suppress(DBBackupError):
            while self._session.ask(question)["left"] and time.monotonic() < deadline:
                time.sleep(_SHORT)

    def end_operation(self) -> None:
        """End the sessions of the operation on the server."""
        ours = self._ours("application_name")
        with suppress(DBBackupError):
            # By who logged in: the role that a restore has become may not end the login's sessions.
            login = self._session.login
            self._session.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}", login)

    def run(self) -> None:
        """Look again and again until the operation is over."""
        interval = _INTERVAL
        while not self._done.wait(interval):
            # A server that does not answer is the operation's own affair.
            with suppress(DBBackupError):
                blocked = self._look()
                interval = _INTERVAL if blocked else min(2 * interval, _LONGEST_INTERVAL)

    def _look(self) -> bool:
        found = self._blockers()
        if not found:
            self._blocked_since = None
            return False
        now = time.monotonic()
        since = self._blocked_since = self._blocked_since or now
        if new := [blocker for blocker in found if blocker.pid not in self._shown]:
            self._shown.update(blocker.pid for blocker in new)
            self._notify(f"The {self._operation} waits for {'; '.join(map(str, new))}.")
        if self._terminate:
            self._end([blocker.pid for blocker in found if blocker.pid])
        if now - since >= self._deadline:
            self.gave_up = tuple(found)
            self.end_operation()
        return True

    def _blockers(self) -> list[Blocker]:
        said: list[dict[str, Any]] = self._session.ask({"blockers": f"""
            SELECT coalesce(json_agg(DISTINCT jsonb_build_object(
                'pid', p.pid, 'user', coalesce(b.usename, ''), 'application', coalesce(b.application_name, ''),
                'state', coalesce(b.state, 'in a state that only its own role sees'),
                'seconds', coalesce(extract(epoch FROM now() - b.xact_start)::int, 0))), '[]')
            FROM pg_stat_activity w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS p (pid)
            LEFT JOIN pg_stat_activity b ON b.pid = p.pid
            WHERE {self._ours("w.application_name")} AND NOT coalesce({self._ours("b.application_name")}, false)
        """})["blockers"]  # fmt: skip
        return [Blocker(**blocker) for blocker in said]

    def _ours(self, column: str) -> str:
        return f"{column} = {self._application}"

    def _end(self, pids: list[int]) -> None:
        for pid in pids:
            try:
                self._session.execute(f"SELECT pg_terminate_backend({pid})", self._admin or self._session.login)
            except DBBackupError as exc:
                reason = last_words(exc.stderr) if isinstance(exc, CommandConnectorError) else exc
                self._notify(f"Process {pid} cannot be ended: {reason}")
                # Said once; from here on the deadline counts.
                self._terminate = False
