"""The restore: a safety dump, mongorestore, a look at what is there, and the way back where that fails."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.mongodb.archive import Archive, read_archive
from dbbackup.db.mongodb.by_hand import by_hand, careful, pattern
from dbbackup.db.mongodb.checking import check_there, check_told
from dbbackup.db.mongodb.dumping import DumpPlan, watcher
from dbbackup.db.mongodb.errors import failed_documents, is_gone, restored_documents
from dbbackup.db.mongodb.facts import Facts, find_facts, find_size
from dbbackup.db.mongodb.namespaces import FUNCTIONS, Name
from dbbackup.db.mongodb.obstacles import Choices, Target, find_target, problems, warnings
from dbbackup.db.mongodb.session import Session
from dbbackup.db.mongodb.tools import Tool, find_tool
from dbbackup.db.safety import SafetyDump, left_behind, prefix
from dbbackup.db.undoing import UndoableRestore, announce, await_answer, safety_problems, securing
from dbbackup.db.watching import Clock, Ticking
from dbbackup.streams import IteratorReader, ProgramReader, StreamReader, chunks, copy

_FILE = "safety.archive.gz"
# No database has that name.
_EVERYTHING = ""
_TRIES = 3
_PAUSE = 1.0


@dataclass(frozen=True)
class Programs:
    """What the connector's settings make of the tools."""

    dump: Callable[[Session, DumpPlan], StreamReader]
    """Starts a dump, without any suffix of the user's."""
    load: Callable[[Session, Tool, list[str], BinaryIO, bool], ProgramReader]
    """Starts mongorestore with these arguments, with the user's prefix and suffix or without."""
    dump_cmd: str
    restore_cmd: str
    path: str | None
    """Where the tools are looked for."""


@dataclass(frozen=True)
class _Prepared:
    """What the preflight has found."""

    target: Target
    facts: Facts
    tool: Tool
    plan: DumpPlan | None
    """Of the safety dump, if there is to be one."""
    size: int
    """Bytes that it may have."""


class Restorer(UndoableRestore):
    """One restore of one archive into one database."""

    def __init__(
        self,
        session: Session,
        alias: str,
        archive: Archive,
        choices: Choices,
        *,
        programs: Programs,
        directory: Path | None,
    ) -> None:
        super().__init__(alias)
        self._session = session
        self._archive = archive
        self._choices = choices
        self._programs = programs
        self._directory = directory
        self._prepared: _Prepared | None = None

    @property
    def tools(self) -> list[Tool]:
        """Return the programs that do the work, once the preflight was."""
        ready = self._ready
        return [ready.tool, *([ready.plan.tool] if ready.plan else [])]

    def preflight(self) -> list[str]:
        """Return what should be known; raise RestoreError with everything that stands in the way."""
        session, choices = self._session, self._choices
        programs = self._programs
        tool = find_tool("RESTORE_CMD", "mongorestore", programs.restore_cmd, path=programs.path)
        target = find_target(self._archive, session.login.database, whole_server=choices.oplog)
        if isinstance(target, str):
            raise self._refusal([target])
        facts = find_facts(session, whole_server=target.whole_server)
        found = problems(session, facts, tool, target, choices)
        plan, size = None, 0
        if choices.safety_dump and not found:
            size = find_size(session, whole_server=target.whole_server)
            found = safety_problems(size, self._directory)
            dump_tool = find_tool("DUMP_CMD", "mongodump", programs.dump_cmd, path=programs.path)
            plan = DumpPlan(dump_tool, facts, whole_server=target.whole_server)
        if found:
            raise self._refusal(found)
        self._prepared = _Prepared(target, facts, tool, plan, size)
        return warnings(facts, target, choices) + self._safety_warnings(
            wanted=choices.safety_dump, left_behind=self._left_behind()
        )

    def _left_behind(self) -> list[Path]:
        return [
            path
            for whole_server in (False, True)
            for path in left_behind(self._key(whole_server=whole_server), self._directory, _FILE)
        ]

    def _key(self, *, whole_server: bool) -> tuple[str, ...]:
        """Return what safety dumps are told apart by: how one is put back is not how the other is."""
        key = self._session.login.key
        return (*key[:-1], _EVERYTHING) if whole_server else key

    def _is_whole(self, path: Path) -> bool:
        return path.parent.name.startswith(prefix(self._key(whole_server=True)))

    def _refusal(self, found: list[str]) -> RestoreError:
        return RestoreError(f"Cannot restore database {self._alias!r}: {'; '.join(found)}. Nothing was changed.")

    def _secure(self, notify: Callable[[str], None]) -> SafetyDump | None:
        plan = self._ready.plan
        if plan is None:
            return None
        announce(self._ready.size, notify)
        safety = SafetyDump(self._key(whole_server=plan.whole_server), self._directory, _FILE)
        with securing(safety), self._programs.dump(self._session, plan) as dump:
            safety.write(dump)
        return safety

    def _replace(self, dump: BinaryIO, notify: Callable[[str], None]) -> None:  # noqa: ARG002 - there is nothing to say
        target = self._ready.target
        if self._choices.exact:
            kept = {(target.database, name) for name in self._choices.excluded}
            there = find_facts(self._session, whole_server=target.whole_server).namespaces
            self._drop(name for name in there if name not in target.namespaces and name not in kept)
        if self._choices.drop:
            # mongorestore does not, and then stumbles over the documents that are there.
            # Never those of admin: the users are there, and this login is one of them.
            self._drop(name for name in target.namespaces if name[1] == FUNCTIONS)
        told = None
        if target.namespaces:
            told = self._load(dump, self._arguments(target), by_user=True)
        else:
            # There is nothing that mongorestore would take.
            copy(dump, lambda _: None)
        check_there(self._session, target)
        check_told(self._session, target, told, self._ready.facts if self._choices.drop else None)

    def _arguments(self, target: Target) -> list[str]:
        """Return the arguments for the restore of what the user has chosen."""
        given = ["--drop"] if self._choices.drop else []
        given += ["--objcheck"] if self._choices.objcheck else []
        if target.whole_server:
            return [*given, *self._careful(), "--oplogReplay"]
        source, database = (pattern(name) for name in (target.source, target.database))
        given.append(f"--nsInclude={source}")
        if source != database:
            given += [f"--nsFrom={source}", f"--nsTo={database}"]
        return [*given, *self._careful()]

    def _careful(self) -> list[str]:
        return careful(bypass=self._ready.facts.account.may_bypass_validation(self._session.login.database))

    def _load(self, dump: BinaryIO, arguments: list[str], *, by_user: bool) -> int | None:
        """Run mongorestore, and return how many documents it says to have restored."""
        clock = Clock()
        source = Ticking(IteratorReader(chunks(dump), dump), clock)
        program = self._programs.load(self._session, self._ready.tool, ["--archive", *arguments], source, by_user)
        with program, watcher(self._session)(program, clock).watching():
            copy(program, lambda _: None)
            if count := failed_documents(program.stderr_tail):
                raise RestoreError(f"mongorestore could not restore {count} documents.")
            return restored_documents(program.stderr_tail)

    def _is_untouched(self, safety: SafetyDump | None) -> bool:
        # Documents that are missing may have expired by themselves: they are put back all the same.
        if safety is None:
            return False
        # A server that is gone need not be waited for twice.
        self._session.ping()
        return self._equals(safety, expiring=True)

    def _await_server(self, notify: Callable[[str], None]) -> None:
        await_answer(self._session.ping, is_gone, notify)

    def _put_back(self, safety: SafetyDump, notify: Callable[[str], None]) -> None:
        target = self._ready.target
        for attempt in range(1, _TRIES + 1):
            self._drop(find_facts(self._session, whole_server=target.whole_server).namespaces)
            with safety.open() as dump:
                self._load(
                    dump, ["--drop", *self._only(whole_server=target.whole_server), *self._careful()], by_user=False
                )
            if self._equals(safety):
                return
            if attempt < _TRIES:
                # What the server had taken from the tool that was ended may have come in meanwhile.
                notify("The database is not yet as it was; the safety dump is put back once more.")
                time.sleep(_PAUSE)
        raise RestoreError("a dump of it now differs from the safety dump; did somebody else write meanwhile?")

    def _equals(self, safety: SafetyDump, *, expiring: bool = False) -> bool:
        """Return whether the database is as it was when it was dumped, whatever the order of its documents."""
        plan = self._ready.plan
        assert plan is not None
        with self._programs.dump(self._session, plan) as dump:
            now = read_archive(dump, digests=True)
        with safety.open() as dump:
            then = read_archive(dump, digests=True)
        return now.fingerprint(expiring=expiring) == then.fingerprint(expiring=expiring)

    def _drop(self, names: Iterable[Name]) -> None:
        """Remove collections and views; of the server's own the content."""
        for database, name in names:
            with self._session.asking():
                if name.startswith("system."):
                    self._session.database(database)[name].delete_many({})
                else:
                    self._session.database(database).drop_collection(name)

    def _by_hand(self, path: Path) -> str:
        chosen = ["--gzip", f"--archive={path}", *self._only(whole_server=self._is_whole(path)), *self._careful()]
        return by_hand(self._session.login, self._session.found, *chosen)

    def _exactly(self, path: Path) -> str:
        if self._is_whole(path):
            # Of an archive without an oplog dbrestore takes one database only.
            return "\n(It is of the whole server, and leaves collections that the restore has made.)"
        ours = shlex.join(["dbrestore", f"--database={self._alias}", "--exact", f"--input-path={path}"])
        return f"\n(It leaves collections that the restore has made; manage.py {ours} does not.)"

    def _only(self, *, whole_server: bool) -> list[str]:
        """Return the argument for nothing but the database, unless the whole server is meant."""
        return [] if whole_server else [f"--nsInclude={pattern(self._session.login.database)}"]

    @property
    def _ready(self) -> _Prepared:
        assert self._prepared is not None, "preflight() comes first"
        return self._prepared
