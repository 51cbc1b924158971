"""What a server says of itself, of a database, and of what an account may do there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import json_util

from dbbackup.db.mongodb.namespaces import FUNCTIONS, Name, Namespace, plain
from dbbackup.db.mongodb.session import Session

_INTERNAL = frozenset({"admin", "config", "local"})
_COUNT_TIME = 600.0
"""Seconds that counting the documents of one collection, each of them, may take."""
_BYPASS = "bypassDocumentValidation"
_BYPASSING_ROLES = frozenset({"dbAdmin", "dbAdminAnyDatabase", "dbOwner", "restore", "root", "__system"})


@dataclass(frozen=True)
class Account:
    """Who is logged in."""

    name: str = ""
    """Empty on a server that asks nobody who he is."""
    privileges: Sequence[Mapping[str, Any]] = ()
    roles: frozenset[str] = frozenset()

    def lacks(self, actions: Iterable[str], database: str) -> list[str]:
        """Return those of the actions that the account may do nowhere in a database, as far as the server tells."""
        if not self.privileges:
            return []
        allowed = self._allowed(database, self.privileges)
        return [] if "anyAction" in allowed else [action for action in actions if action not in allowed]

    def may_bypass_validation(self, database: str) -> bool:
        """Return whether it may insert documents that a validator refuses, in every collection."""
        if not self.name:
            return True
        if self.privileges:
            everywhere = [one for one in self.privileges if not one.get("resource", {}).get("collection")]
            return bool({_BYPASS, "anyAction"} & self._allowed(database, everywhere))
        return bool(self.roles & _BYPASSING_ROLES)

    def _allowed(self, database: str, privileges: Iterable[Mapping[str, Any]]) -> set[str]:
        allowed: set[str] = set()
        for privilege in privileges:
            resource = privilege.get("resource", {})
            if resource.get("anyResource") or resource.get("db") in {database, ""}:
                allowed |= set(privilege.get("actions", ()))
        return allowed


@dataclass(frozen=True)
class Facts:
    """What is there."""

    version: str
    """Of the server."""
    set_name: str
    """Of the replica set, if it is one."""
    is_mongos: bool
    """Whether it stands before shards."""
    account: Account
    namespaces: Mapping[Name, Namespace] = field(default_factory=dict)

    def of(self, database: str) -> list[str]:
        """Return the collections and views of a database."""
        return [name for owner, name in self.namespaces if owner == database]


def find_facts(session: Session, *, whole_server: bool = False) -> Facts:
    """Ask the server about the database of the settings, or about all of its databases."""
    with session.asking():
        namespaces: dict[Name, Namespace] = {}
        for database in _databases(session, whole_server=whole_server):
            namespaces |= {(database, name): found for name, found in _namespaces(session, database).items()}
        return Facts(
            version=str(session.client.server_info()["version"]),
            set_name=str(session.hello.get("setName", "")),
            is_mongos=session.hello.get("msg") == "isdbgrid",
            account=_account(session),
            namespaces=namespaces,
        )


def find_size(session: Session, *, whole_server: bool = False) -> int:
    """Return how many bytes the documents have, not compressed."""
    with session.asking():
        databases = _databases(session, whole_server=whole_server)
        return sum(int(session.database(name).command("dbStats")["dataSize"]) for name in databases)


def find_indexes(session: Session, name: Name) -> dict[str, list[tuple[str, Any]]]:
    """Return the keys of each index of a collection in their order, by the name of the index."""
    database, collection = name
    with session.asking():
        return {
            index["name"]: list(index["key"].items()) for index in session.database(database)[collection].list_indexes()
        }


def count_documents(session: Session, name: Name, *, at_least: int = 0) -> int:
    """Return how many documents a collection has, one by one if its own counter says fewer than there should be."""
    database, collection = name
    found = session.database(database)[collection]
    with session.asking():
        counted = found.estimated_document_count()
    if counted >= at_least:
        return counted
    with session.asking(_COUNT_TIME):
        return found.count_documents({})


def _databases(session: Session, *, whole_server: bool) -> list[str]:
    if not whole_server:
        return [session.login.database]
    return sorted(set(session.client.list_database_names()) - _INTERNAL)


def _namespaces(session: Session, database: str) -> dict[str, Namespace]:
    found = {}
    for entry in session.database(database).list_collections():
        name = str(entry["name"])
        # Of the server's own collections the tools dump only that one.
        if name.startswith("system.") and name != FUNCTIONS:
            continue
        uuid = entry.get("info", {}).get("uuid")
        options = plain(json.loads(json_util.dumps(entry.get("options", {}))))
        found[name] = Namespace(str(entry.get("type", "collection")), bytes(uuid).hex() if uuid else "", options)
    return found


def _account(session: Session) -> Account:
    said = session.client.admin.command("connectionStatus", showPrivileges=True)["authInfo"]
    users = [f"{user['user']}@{user['db']}" for user in said.get("authenticatedUsers", ())]
    roles = frozenset(str(role["role"]) for role in said.get("authenticatedUserRoles", ()))
    return Account(", ".join(users), said.get("authenticatedUserPrivileges", ()), roles)
