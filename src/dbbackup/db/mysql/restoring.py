"""The restore: a safety dump, the load, and the way back where that fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from dbbackup.db.exceptions import CommandConnectorError, ConnectorError, RestoreError
from dbbackup.db.matching import listed
from dbbackup.db.mysql.contents import Contents
from dbbackup.db.mysql.dumping import DumpPlan, dump_problems, make_plan
from dbbackup.db.mysql.emptying import empty
from dbbackup.db.mysql.errors import is_full, is_gone, is_locked
from dbbackup.db.mysql.facts import Facts, find_facts, known_collations
from dbbackup.db.mysql.locking import check_locks
from dbbackup.db.mysql.names import described, quote_name
from dbbackup.db.mysql.obstacles import Choices, Obstacles, foreign, may_define
from dbbackup.db.mysql.rewriting import Changes, Rewriter, with_lenient_dates
from dbbackup.db.mysql.safety import Measured, by_hand, left_behind, new_safety_dump
from dbbackup.db.mysql.session import Session
from dbbackup.db.mysql.views import CheckedViews
from dbbackup.db.mysql.watching import watcher
from dbbackup.db.safety import SafetyDump
from dbbackup.db.undoing import UndoableRestore, announce, await_answer, patiently, safety_problems, securing
from dbbackup.db.watching import ANSWER, Clock, Ticking
from dbbackup.streams import HashingReader, IteratorReader, StreamReader, chunks, copy

LOCK_PATIENCE = 300.0
"""Seconds that other sessions have to let go of the tables, before putting the safety dump back is given up."""
_PAUSES = (2.0, 8.0)
_WHO = b"SELECT CONNECTION_ID(); "


@dataclass(frozen=True)
class Programs:
    """What the connector's settings make of the programs."""

    dump: Callable[[Session, DumpPlan], StreamReader]
    """Starts a dump of the whole database, without any suffix of the user's."""
    load: Callable[[Session, BinaryIO, bool], StreamReader]
    """Starts the client that takes SQL, with the user's suffix or without."""


class Restorer(UndoableRestore):
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
        super().__init__(alias)
        self._session = session
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
        return obstacles.warnings() + self._safety_warnings(
            wanted=self._choices.safety_dump, left_behind=left_behind(session.login, self._directory)
        )

    def _check_access(self) -> None:
        check_locks(self._session)

    def _replace(self, dump: BinaryIO, notify: Callable[[str], None]) -> None:
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

    def _plan_safety_dump(self, facts: Facts) -> list[str]:
        """Make the plan, or return why there can be no safety dump that could be put back."""
        problems = dump_problems(facts, self._session.login.database)
        others = list(chain.from_iterable(foreign(facts.definers, facts.account).values()))
        if others and not may_define(facts):
            problems.append(
                f"{listed(others)} belongs to another DEFINER than {facts.account}, who could not make it again "
                "(restore as an account with SET USER or SET_ANY_DEFINER)"
            )
        problems = safety_problems(facts.size, self._directory, problems)
        if not problems:
            self._plan = make_plan(self._session, facts, given=self._dump_cmd)
        return problems

    def _secure(self, notify: Callable[[str], None]) -> SafetyDump | None:
        if self._plan is None:
            return None
        facts = self._plan.facts
        announce(facts.size, notify)
        safety = new_safety_dump(self._session.login, self._directory)
        with securing(safety), self._programs.dump(self._session, self._plan) as program, Measured(program) as dump:
            safety.write(dump, self._session.load_prelude)
        if dump.largest > facts.max_packet:
            safety.discard()
            raise RestoreError(
                f"A safety dump could not be put back: it has a statement of {dump.largest} bytes, and the server "
                f"takes {facts.max_packet}. Nothing was changed. Raise max_allowed_packet, or pass --no-safety-dump."
            )
        return safety

    def _load(self, dump: BinaryIO, changes: Changes, *, checks_views: bool, by_user: bool) -> None:
        """Run a dump's SQL, after some of our own."""
        clock = Clock()
        rewritten = Rewriter(dump, changes)
        lenient = with_lenient_dates(CheckedViews(rewritten) if checks_views else rewritten)
        # A dump may leave its last rows in a transaction, and the client would undo that.
        sql = chain([self._session.load_prelude, _WHO], chunks(lenient), [b"\nCOMMIT;\n"])
        program = self._programs.load(self._session, Ticking(IteratorReader(sql, lenient), clock), by_user)
        with program, watcher(self._session, program, clock).watching():
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

    def _await_server(self, notify: Callable[[str], None]) -> None:
        await_answer(lambda: self._session.ask("SELECT 1", seconds=ANSWER), is_gone, notify)

    def _by_hand(self, path: Path) -> str:
        return by_hand(path, self._session.client.name, self._session.login)

    @property
    def _losses(self) -> Sequence[str]:
        return self._plan.losses if self._plan is not None else ()

    def _end_load(self) -> None:
        """End what the server still does for a client that is gone, as building an index: it would be in the way."""
        if self._connection.isdigit():
            # Most often it has ended by itself.
            with suppress(CommandConnectorError):
                self._session.ask(f"KILL {int(self._connection)}")

    def _put_back(self, safety: SafetyDump, notify: Callable[[str], None]) -> None:
        """Have the database as the safety dump has it; try again where the server had no room yet."""
        self._end_load()
        checks_views = self._plan is not None and self._plan.facts.checks_views
        for pause in (*_PAUSES, None):
            patiently(
                lambda: empty(self._session),
                notify,
                "Another session has a table in use (SHOW PROCESSLIST): it is waited for, to put all back.",
                passes=is_locked,
                seconds=LOCK_PATIENCE,
            )
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

    def _compare(self, safety: SafetyDump) -> None:
        """Raise RestoreError unless a dump of what was put back is the safety dump, byte for byte."""
        plan = make_plan(self._session, find_facts(self._session), given=self._dump_cmd)
        with self._programs.dump(self._session, plan) as program, HashingReader(program) as dump:
            copy(dump, lambda _: None)
            if dump.hexdigest() != safety.sha256:
                raise RestoreError("a dump of it now differs from the safety dump; did somebody else write meanwhile?")
