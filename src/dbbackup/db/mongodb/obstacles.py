"""What stands in the way of a restore, found before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from dbbackup.db.matching import listed
from dbbackup.db.mongodb.archive import OPLOG, Archive
from dbbackup.db.mongodb.facts import Facts, find_indexes
from dbbackup.db.mongodb.namespaces import USERS, Name, Namespace, shown
from dbbackup.db.mongodb.session import Session
from dbbackup.db.mongodb.tools import Tool, release

_NEEDED = ("find", "listCollections", "listIndexes", "insert", "createCollection", "createIndex", "dropCollection")


@dataclass(frozen=True)
class Choices:
    """How the user wants a restore."""

    exact: bool
    drop: bool
    objcheck: bool
    safety_dump: bool
    oplog: bool
    excluded: tuple[str, ...]
    """The collections that the backup was made without."""


@dataclass(frozen=True)
class Target:
    """What an archive has for a database, which may have had another name."""

    database: str
    source: str
    """What the archive calls it; empty where a whole server is meant."""
    archive: Archive

    @property
    def whole_server(self) -> bool:
        """Return whether it is all databases, with what changed during the dump."""
        return not self.source

    @cached_property
    def namespaces(self) -> dict[Name, Namespace]:
        """Return what the database is to have."""
        return {self.renamed(name): found for name, found in self.archive.namespaces.items() if self._takes(name)}

    def renamed(self, name: Name) -> Name:
        """Return the name that something of the archive is to have."""
        return (self.database, name[1]) if self.source else name

    def counts(self) -> dict[Name, int]:
        """Return how many documents each collection is to have, views aside."""
        return {
            self.renamed(name): self.archive.documents[name].count
            for name, found in self.archive.namespaces.items()
            if self._takes(name) and found.kind != "view"
        }

    def _takes(self, name: Name) -> bool:
        """Return whether something of the archive is restored; users are not, without options of the tool's own."""
        return name != OPLOG and self.source in {"", name[0]} and not name[1].startswith(USERS)


def find_target(archive: Archive, database: str, *, whole_server: bool) -> Target | str:
    """Return what of an archive is to be restored, or why nothing can be."""
    if OPLOG in archive.namespaces:
        if not whole_server:
            return "the backup is one of a whole server, with its oplog: OPLOG = True restores all of that"
        return Target(database, "", archive)
    databases = archive.databases
    if database in databases or not databases:
        return Target(database, database, archive)
    if len(databases) > 1:
        return (
            f"the backup has {listed(databases)}, none of which is {database!r}: give the NAME of the one that is meant"
        )
    return Target(database, databases[0], archive)


def problems(session: Session, facts: Facts, tool: Tool, target: Target, choices: Choices) -> list[str]:
    """Return everything for which a restore cannot succeed."""
    found = []
    written, here = release(target.archive.tool_version), release(tool.version)
    if written and here and written > here:
        found.append(
            f"mongodump {target.archive.tool_version} wrote the backup, and {tool.path} is of version {tool.version}: "
            "install tools that are as new"
        )
    if choices.exact and not choices.drop:
        found.append("--exact replaces everything, and --no-drop (DROP = False) forbids that")
    if missing := facts.account.lacks(_NEEDED, target.database):
        roles = "the roles readWrite and dbAdmin do"
        found.append(f"{facts.account.name} may not {listed(missing)} in {target.database!r} ({roles})")
    if not choices.drop:
        found += _collisions(session, facts, target)
    return found


def warnings(facts: Facts, target: Target, choices: Choices) -> list[str]:
    """Return what should be known before a restore."""
    found = []
    theirs, ours = release(target.archive.server_version), release(facts.version)
    if theirs and ours and theirs != ours:
        found.append(f"it was made on MongoDB {target.archive.server_version}, and the server here is {facts.version}")
    strict = [shown(name) for name, wanted in target.namespaces.items() if "validator" in wanted.options]
    if strict and not facts.account.may_bypass_validation(target.database):
        found.append(
            f"documents that the validator of {listed(sorted(strict))} refuses would stop the restore, because "
            f"{facts.account.name} may not bypass it (the role dbAdmin may)"
        )
    if not target.namespaces and not choices.exact:
        found.append("it has no collection, so that nothing is restored; --exact empties the database")
    if target.whole_server:
        names = listed(sorted({database for database, _ in target.namespaces}))
        rest = ", and removes every other (--exact)" if choices.exact else ""
        found.append(f"it is of a whole server, and replaces not one database but {names}{rest}")
    excluded = {(target.database, name) for name in choices.excluded}
    if kept := sorted(excluded & set(facts.namespaces)):
        found.append(f"{listed([shown(name) for name in kept])} was left out of the backup and stays as it is")
    stay = sorted(set(facts.namespaces) - set(target.namespaces) - excluded)
    if stay and not choices.exact and not target.whole_server:
        found.append(f"{listed([shown(name) for name in stay])} is not in the backup and stays (--exact removes it)")
    return found


def _collisions(session: Session, facts: Facts, target: Target) -> list[str]:
    """Return what cannot be beside what is there already."""
    found = []
    for name, wanted in target.namespaces.items():
        there = facts.namespaces.get(name)
        if there is None:
            continue
        if there.kind != wanted.kind:
            found.append(f"{shown(name)} is a {there.kind} here and a {wanted.kind} in the backup")
        elif wanted.kind == "view" and there.options != wanted.options:
            found.append(f"the view {shown(name)} is another one in the backup")
        elif wanted.indexes:
            there_are = find_indexes(session, name)
            other = [index for index, keys in wanted.keys.items() if there_are.get(index, keys) != keys]
            found += [f"the index {index} of {shown(name)} has other keys in the backup" for index in other]
    return found
