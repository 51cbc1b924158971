"""How a database is dumped, and what speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from dbbackup.db.dumps import WatchedDump
from dbbackup.db.exceptions import DumpError
from dbbackup.db.matching import listed, matches
from dbbackup.db.mongodb.archive import Archive, ArchiveError
from dbbackup.db.mongodb.errors import is_gone
from dbbackup.db.mongodb.facts import Facts, find_facts
from dbbackup.db.mongodb.namespaces import Name, shown
from dbbackup.db.mongodb.session import Session
from dbbackup.db.mongodb.tools import Tool, find_tool
from dbbackup.db.watching import Clock, Watcher

_NEEDED = ("find", "listCollections", "listIndexes")
# Where an aggregation writes before it takes the name that is meant.
_PASSING = "tmp.agg_out."


@dataclass(frozen=True)
class DumpPlan:
    """One dump: the program, and what it leaves out."""

    tool: Tool
    facts: Facts
    excluded: tuple[str, ...] = ()
    oplog: bool = False
    """Whether it is one of the whole server, with what changes meanwhile."""
    whole_server: bool = False

    def arguments(self, database: str) -> list[str]:
        """Return the arguments behind those that tell how to log in."""
        if self.whole_server:
            return ["--archive", *(["--oplog"] if self.oplog else [])]
        return ["--archive", f"--db={database}", *(f"--excludeCollection={name}" for name in self.excluded)]


def plan_dump(
    session: Session,
    alias: str,
    *,
    given: str,
    path: str | None,
    exclude: Sequence[str],
    oplog: bool,
    allow_empty: bool,
) -> DumpPlan:
    """Ask the server and return the plan; raise an error with every reason why a dump would fail or lack something."""
    tool = find_tool("DUMP_CMD", "mongodump", given, path=path)
    facts = find_facts(session, whole_server=oplog)
    database = session.login.database
    if oplog:
        _check_oplog(facts, alias, exclude)
    elif not facts.namespaces and not allow_empty:
        raise DumpError(
            f"Cannot dump database {alias!r}: {database!r} on {session.login.hosts} has no collections. Check NAME; "
            "if it is to be empty, pass --allow-empty."
        )
    known = {name: [name, f"{database}.{name}"] for name in facts.of(database)}
    excluded = tuple(matches(exclude, known, f"EXCLUDE: database {alias!r} has no collection"))
    if missing := facts.account.lacks(_NEEDED, database):
        raise DumpError(
            f"Cannot dump database {alias!r} as {facts.account.name}: it may not {listed(missing)} in {database!r}. "
            "The role read gives that."
        )
    return DumpPlan(tool, facts, excluded, oplog=oplog, whole_server=oplog)


def _check_oplog(facts: Facts, alias: str, exclude: Sequence[str]) -> None:
    problems = []
    if facts.is_mongos:
        problems.append("the server is a mongos, behind which each shard has an oplog of its own")
    elif not facts.set_name:
        problems.append("the server is no member of a replica set, and others have no oplog")
    if exclude:
        problems.append("a dump of a whole server can leave nothing out (EXCLUDE, --exclude-tables)")
    if problems:
        raise DumpError(f"Cannot dump database {alias!r} with OPLOG: {'; '.join(problems)}.")


def watcher(session: Session) -> Callable[[BinaryIO, Clock], Watcher]:
    """Return what watches a tool that works on the session's server."""

    def watch(program: BinaryIO, clock: Clock) -> Watcher:
        return Watcher(program, clock, lambda _: session.ping(), is_gone)

    return watch


class DumpReader(WatchedDump):
    """Pass on an archive, and look at it as it passes."""

    def __init__(
        self,
        program: BinaryIO,
        session: Session,
        plan: DumpPlan,
        *,
        release: Callable[[], None] = lambda: None,
        archive: Archive | None,
    ) -> None:
        """Take the archive that takes everything in; None for what a program of the user's has changed."""
        self._session = session
        self._plan = plan
        self._archive = archive
        super().__init__(program, watcher(session), release=release)

    def _passed(self, chunk: bytes) -> None:
        if self._archive is not None:
            try:
                self._archive.feed(chunk)
            except ArchiveError as exc:
                raise DumpError(f"What mongodump wrote is not whole: {exc}.") from exc

    def _ended(self) -> None:
        if self._archive is None:
            return
        try:
            self._archive.close()
        except ArchiveError as exc:
            raise DumpError(f"What mongodump wrote is not whole: {exc}.") from exc
        check_moment(self._session, self._plan, self._archive)


def check_moment(session: Session, plan: DumpPlan, archive: Archive) -> None:
    """Raise a DumpError if a collection took another name while it was dumped: it may be in the dump under neither."""
    if plan.oplog:
        return
    now = find_facts(session, whole_server=plan.whole_server).namespaces
    there = {found.uuid: name for name, found in now.items() if found.uuid}
    renamed = [
        f"{shown(name)} is {shown(there[found.uuid])} now"
        for name, found in archive.namespaces.items()
        if there.get(found.uuid, name) != name and not name[1].startswith(_PASSING)
    ]
    if renamed:
        raise DumpError(f"A collection was renamed during the dump ({listed(renamed)}).", transient=True)
    left_out = {(session.login.database, name) for name in plan.excluded}
    before = {name: found.uuid for name, found in plan.facts.namespaces.items()}
    lost: list[Name] = [
        name
        for name, found in now.items()
        if name not in archive.namespaces and name not in left_out and name in before and before[name] == found.uuid
    ]
    if lost:
        raise DumpError(f"mongodump left out {listed([shown(name) for name in sorted(lost)])}.")
