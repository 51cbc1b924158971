"""The restore: a safety dump, the load, and the way back where that fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NoReturn

from dbbackup.db.exceptions import CommandConnectorError, ConnectorError, RestoreError
from dbbackup.db.matching import listed
from dbbackup.db.mysql.contents import Contents
from dbbackup.db.mysql.dumping import DumpPlan, dump_problems, make_plan
from dbbackup.db.mysql.emptying import check_locks, empty
from dbbackup.db.mysql.errors import is_full, is_gone, is_locked
from dbbackup.db.mysql.facts import Facts, find_facts, known_collations
from dbbackup.db.mysql.names import described, quote_name
from dbbackup.db.mysql.obstacles import Choices, Obstacles, may_define, same_account
from dbbackup.db.mysql.rewriting import Changes, Rewriter
from dbbackup.db.mysql.safety import SafetyDump, by_hand, free_space, left_behind
from dbbackup.db.mysql.session import Session
from dbbackup.db.mysql.views import CheckedViews
from dbbackup.db.mysql.watching import ANSWER, Clock, Ticking, Watcher
from dbbackup.streams import HashingReader, IteratorReader, PeekableReader, StreamReader, chunks, copy

PATIENCE = 30.0
"""Seconds that a server which went away has to come back, before putting the safety dump back is given up."""
LOCK_PATIENCE = 300.0
"""Seconds that other sessions have to let go of the tables, before the same."""
_PAUSES = (2.0, 8.0)
_WHO = b"SELECT CONNECTION_ID(); "
# What the head of a dump sets, and how far it goes.
_MODE, _LENIENT_MODE = b"SQL_MODE='NO_AUTO_VALUE_ON_ZERO'", b"SQL_MODE='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"
_HEADER = 2048
_WORTH_A_WORD = 100 * 1024 * 1024


@dataclass(frozen=True)
class Programs:
    """What the connector's settings make of the programs."""

    dump: Callable[[Session, DumpPlan], StreamReader]
    """Starts a dump of the whole database, without any suffix of the user's."""
    load: Callable[[Session, BinaryIO, bool], StreamReader]
    """Starts the client that takes SQL, with the user's suffix or without."""


class Restorer:
    """One restore of one dump into one database."""

    def __init__(
        self,
        session: Session,
        alias: str,
        contents: Contents,
        choices: Choices,
        *,
        programs: Programs,
        dump_cmd: str,
        directory: Path | None,
    ) -> None:
        self._session = session
        self._alias = alias
        self._contents = contents
        self._choices = choices
        self._programs = programs
        self._dump_cmd = dump_cmd
        self._directory = directory
        self._plan: DumpPlan | None = None
        # The number of the session that loads.
        self._connection = b""

    @property
    def safety_plan(self) -> DumpPlan | None:
        """Return how the safety dump is made, once the preflight was, and if there is to be one."""
        return self._plan

    def preflight(self) -> list[str]:
        """Return what should be known; raise RestoreError with everything that stands in the way."""
        session = self._session
        facts = find_facts(session)
        session.prefer(mariadb=facts.is_mariadb)
        obstacles = Obstacles(
            session.login.database, self._contents, facts, known_collations(session, facts), self._choices
        )
        problems = obstacles.problems()
        if self._choices.safety_dump and not problems:
            problems = self._plan_safety_dump(facts)
        if problems:
            raise RestoreError(f"Cannot restore database {self._alias!r}: {'; '.join(problems)}. Nothing was changed.")
        warnings = obstacles.warnings()
        if not self._choices.safety_dump:
            warnings.append("there will be no safety dump: a restore that fails leaves the database half restored")
        return warnings + [
            "an earlier restore was killed, and has left what was there before. Load it by\n"
            f"{by_hand(path, session.client.name, session.login)}\nor delete {path}"
            for path in left_behind(session.login, self._directory)
        ]

    def run(self, dump: BinaryIO, notify: Callable[[str], None]) -> None:
        """Restore. Whatever goes wrong, the database is as it was before, unless the error says otherwise."""
        # A terminal that is gone must not keep what was there from being put back.
        notify = _undaunted(notify)
        safety = self._secure(notify) if self._plan is not None else None
        try:
            check_locks(self._session)
        except BaseException:
            if safety is not None:
                safety.discard()
            raise
        try:
            if self._choices.exact:
                empty(self._session, keep=self._choices.excluded)
            here, there = self._session.login.database, self._contents.database
            changes = Changes(
                drop_sandbox=True,
                strip_definer=self._choices.strip_definer,
                drop_replication=self._contents.sets_replication,
                collations=self._choices.collations,
                database=here if self._contents.altered_databases else None,
                source=there if self._contents.names_itself and there != here else None,
            )
            self._load(dump, changes, checks_views=self._contents.checks_views, by_user=True)
            self._check(notify)
        except BaseException as exc:  # noqa: BLE001 - raised again by what it calls
            self._undo(safety, exc, notify)
        if safety is not None:
            safety.discard()

    def _plan_safety_dump(self, facts: Facts) -> list[str]:
        """Make the plan, or return why there can be no safety dump that could be put back."""
        problems = dump_problems(facts, self._session.login.database)
        others = [
            name
            for definer, objects in facts.definers.items()
            if not same_account(definer, facts.account)
            for name in objects
        ]
        if others and not may_define(facts):
            problems.append(
                f"{listed(others)} belongs to another DEFINER than {facts.account}, who could not make it again "
                "(restore as an account with SET USER or SET_ANY_DEFINER)"
            )
        folder, free = free_space(self._directory)
        if facts.size > free:
            cure = "make room, or set DBBACKUP_TMP_DIR"
            problems.append(f"it may take up to {facts.size} bytes in {folder}, which has {free} ({cure})")
        if problems:
            return [
                f"what is there cannot be dumped first, to be put back on a failure: {found}" for found in problems
            ] + ["--no-safety-dump goes without that"]
        self._plan = make_plan(self._session, facts, given=self._dump_cmd)
        return []

    def _secure(self, notify: Callable[[str], None]) -> SafetyDump:
        """Return a dump of the database as it is."""
        assert self._plan is not None
        if (size := self._plan.facts.size) > _WORTH_A_WORD:
            notify(f"What is there is dumped first ({size // 1024**2} MiB), to be put back if the restore fails.")
        safety = SafetyDump(self._session.login, self._directory)
        try:
            try:
                with self._programs.dump(self._session, self._plan) as dump:
                    safety.write(dump, self._session.load_prelude)
            except ConnectorError as exc:
                raise RestoreError(
                    f"What is there could not be dumped first, so nothing was changed: {exc}\n"
                    "--no-safety-dump goes without that."
                ) from exc
            _check_packet(safety, self._plan.facts)
        except BaseException:
            safety.discard()
            raise
        return safety

    def _load(self, dump: BinaryIO, changes: Changes, *, checks_views: bool, by_user: bool) -> None:
        """Run a dump's SQL, after some of our own."""
        clock = Clock()
        rewritten = Rewriter(dump, changes)
        lenient = _lenient(CheckedViews(rewritten) if checks_views else rewritten)
        # A dump may leave its last rows in a transaction, and the client would undo that.
        sql = chain([self._session.load_prelude, _WHO], chunks(lenient), [b"\nCOMMIT;\n"])
        program = self._programs.load(self._session, Ticking(IteratorReader(sql, lenient), clock), by_user)
        with program, Watcher(self._session, program, clock).watching():
            self._connection = program.readline().strip()
            copy(program, lambda _: None)

    def _check(self, notify: Callable[[str], None]) -> None:
        """Raise RestoreError if something of the dump is not there."""
        there = find_facts(self._session)
        contents = self._contents
        # Some servers keep names in lower case alone.
        names = {name.lower() for name in there.tables}
        wanted = sorted({*contents.tables, *contents.views, *contents.sequences})
        missing = [quote_name(name) for name in wanted if name.lower() not in names]
        missing += [described(kind, name) for kind, name in sorted(contents.routines - set(there.routines))]
        missing += [described("TRIGGER", name) for name in sorted(set(contents.triggers) - set(there.triggers))]
        if past := sorted(contents.events - set(there.events)):
            shown = listed([described("EVENT", name) for name in past])
            notify(f"{shown} was not made again: the server drops events whose time has passed.")
        if missing:
            raise RestoreError(f"After the load of the dump {listed(missing)} is not there.")

    def _undo(self, safety: SafetyDump | None, cause: BaseException, notify: Callable[[str], None]) -> NoReturn:
        """Put the safety dump back and raise the cause, with how that ended."""
        if safety is None:
            raise RestoreError(
                f"{_words(cause)}\nThere is no safety dump: database {self._alias!r} may be half restored."
            ) from cause
        try:
            notify("The restore failed; the safety dump is put back.")
            self._await_server(notify)
            self._end_load()
            self._put_back(safety, notify)
        except BaseException as again:  # noqa: BLE001 - an interrupt leaves it half done as well
            safety.release()
            line = by_hand(safety.path, self._session.client.name, self._session.login)
            raise RestoreError(
                f"{_words(cause)}\nPutting the safety dump back failed as well, and database {self._alias!r} is not as "
                f"it was: {_words(again)}\nThe safety dump is {safety.path}. When the cause is gone, load it by: {line}"
            ) from cause
        safety.discard()
        if isinstance(cause, Exception):
            but = "".join(f" But {text}." for text in self._plan.losses) if self._plan is not None else ""
            raise RestoreError(
                f"{_words(cause)}\nThe safety dump was put back and verified: database {self._alias!r} is as it was."
                + but
            ) from cause
        raise cause

    def _end_load(self) -> None:
        """End what the server still does for a client that is gone, as building an index: it would be in the way."""
        if self._connection.isdigit():
            # Most often it has ended by itself.
            with suppress(CommandConnectorError):
                self._session.ask(f"KILL {int(self._connection)}")

    def _put_back(self, safety: SafetyDump, notify: Callable[[str], None]) -> None:
        """Have the database as the safety dump has it; try again where the server had no room yet."""
        checks_views = self._plan is not None and self._plan.facts.checks_views
        for pause in (*_PAUSES, None):
            self._empty_patiently(notify)
            try:
                with safety.open() as dump:
                    self._load(dump, Changes(drop_sandbox=True), checks_views=checks_views, by_user=False)
                break
            except ConnectorError as exc:
                if pause is None or not is_full(exc):
                    raise
                # What was dropped is given free in the background.
                time.sleep(pause)
        self._compare(safety)

    def _empty_patiently(self, notify: Callable[[str], None]) -> None:
        """Take everything out of the database, though others may have its tables in use for a while."""
        deadline = time.monotonic() + LOCK_PATIENCE
        waits = False
        while True:
            try:
                empty(self._session)
            except ConnectorError as exc:
                if not is_locked(exc) or time.monotonic() > deadline:
                    raise
                if not waits:
                    waits = True
                    notify("Another session has a table in use (SHOW PROCESSLIST): it is waited for, to put all back.")
            else:
                return

    def _await_server(self, notify: Callable[[str], None]) -> None:
        deadline = time.monotonic() + PATIENCE
        waits = False
        while True:
            try:
                self._session.ask("SELECT 1", seconds=ANSWER)
            except ConnectorError as exc:
                if not is_gone(exc) or time.monotonic() > deadline:
                    raise
                if not waits:
                    waits = True
                    notify(f"The server does not answer; it has {PATIENCE:.0f} s to come back.")
                time.sleep(1)
            else:
                return

    def _compare(self, safety: SafetyDump) -> None:
        """Raise RestoreError unless a dump of what was put back is the safety dump, byte for byte."""
        plan = make_plan(self._session, find_facts(self._session), given=self._dump_cmd)
        with self._programs.dump(self._session, plan) as program, HashingReader(program) as dump:
            copy(dump, lambda _: None)
            if dump.hexdigest() != safety.sha256:
                raise RestoreError("a dump of it now differs from the safety dump; did somebody else write meanwhile?")


def _check_packet(safety: SafetyDump, facts: Facts) -> None:
    if safety.largest > facts.max_packet:
        raise RestoreError(
            f"A safety dump could not be put back: it has a statement of {safety.largest} bytes, and the server takes "
            f"{facts.max_packet}. Nothing was changed. Raise max_allowed_packet, or pass --no-safety-dump."
        )


def _undaunted(notify: Callable[[str], None]) -> Callable[[str], None]:
    def tell(text: str) -> None:
        with suppress(Exception):
            notify(text)

    return tell


def _words(error: BaseException) -> str:
    return "Interrupted." if isinstance(error, KeyboardInterrupt) else str(error)


def _lenient(dump: BinaryIO) -> BinaryIO:
    """Let dates such as 2020-02-31, which a column may hold, pass through the mode that dumps set."""
    readable = PeekableReader(dump)
    head = readable.peek(_HEADER)
    readable.read(len(head))
    return IteratorReader(chain([head.replace(_MODE, _LENIENT_MODE, 1)], chunks(readable)), readable)
