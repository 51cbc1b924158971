"""What an account may do, told from what the server says of it; and how documents are counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from dbbackup.db.mongodb.facts import Account, Facts, count_documents
from dbbackup.db.mongodb.namespaces import Namespace
from dbbackup.db.mongodb.session import Session

NEEDED = ("find", "listCollections", "listIndexes")
READ = ["collStats", "dbHash", "dbStats", "find", "killCursors", "listCollections", "listIndexes", "planCacheRead"]
WRITE = [*READ, "createCollection", "createIndex", "dropCollection", "insert", "remove", "update"]
ADMIN = ["bypassDocumentValidation", "collMod", "createCollection", "dropCollection", "listCollections", "listIndexes"]


def on(actions: list[str], database: str = "shop", collection: str = "") -> dict[str, Any]:
    return {"resource": {"db": database, "collection": collection}, "actions": actions}


CLUSTER = {"resource": {"cluster": True}, "actions": ["find", "bypassDocumentValidation", "anyAction"]}
BUCKETS = {"resource": {"db": "shop", "system_buckets": "t"}, "actions": ["find"]}
ANY_RESOURCE = {"resource": {"anyResource": True}, "actions": ["anyAction"]}
# The roles of the documentation, as connectionStatus shows them: privileges, what lacks, whether a validator is passed.
ACCOUNTS: dict[str, tuple[list[dict[str, Any]], list[str], bool]] = {
    "read": ([on(READ), on(READ, collection="system.js")], [], False),
    "read of another database": ([on(READ, "other"), on(["find"], "admin")], list(NEEDED), False),
    "readAnyDatabase": ([on(READ, ""), CLUSTER, on(READ, "", "system.js")], [], False),
    "readWrite": ([on(WRITE)], [], False),
    "dbAdmin": ([on(ADMIN)], ["find"], True),
    "dbAdmin of another database": ([on(WRITE), on(ADMIN, "other")], [], False),
    "readWrite and dbAdmin": ([on(WRITE), on(ADMIN)], [], True),
    "restore": ([on(ADMIN, ""), on(WRITE, ""), CLUSTER], [], True),
    "root": ([CLUSTER, on(WRITE, ""), on(ADMIN, "")], [], True),
    "__system": ([ANY_RESOURCE], [], True),
    "every action in the database": ([on(["anyAction"])], [], True),
    "cluster alone": ([CLUSTER], list(NEEDED), False),
    "one collection": ([on(READ, collection="things")], [], False),
    "validator of one collection": ([on(WRITE), on(ADMIN, collection="things")], [], False),
    "one time series": ([BUCKETS], ["listCollections", "listIndexes"], False),
    "two that make one": ([on(["find"]), on(["listCollections", "listIndexes"])], [], False),
    "no resource": ([{"actions": READ}, {"resource": {}}], list(NEEDED), False),
}


@pytest.mark.parametrize("case", ACCOUNTS)
def test_privileges(case: str):
    privileges, lacking, bypasses = ACCOUNTS[case]
    account = Account("me@admin", privileges)
    assert account.lacks(NEEDED, "shop") == lacking
    assert account.may_bypass_validation("shop") is bypasses


def test_server_that_asks_nobody_allows_everything():
    assert Account().lacks(NEEDED, "shop") == []
    assert Account().may_bypass_validation("shop")


@pytest.mark.parametrize(
    ("roles", "bypasses"),
    [
        ({"readWrite"}, False),
        ({"readWrite", "dbAdmin"}, True),
        ({"dbOwner"}, True),
        ({"root"}, True),
        ({"readWriteAnyDatabase", "dbAdminAnyDatabase"}, True),
        ({"restore"}, True),
        ({"mine"}, False),
        (set(), False),
    ],
    ids=range(8),
)
def test_roles_tell_where_a_server_tells_no_privileges(roles: set[str], bypasses: bool):
    account = Account("me@admin", (), frozenset(roles))
    assert account.may_bypass_validation("shop") is bypasses
    assert account.lacks(NEEDED, "shop") == []


def test_collections_of_a_database():
    names = [("shop", "things"), ("other", "things"), ("shop", "view")]
    facts = Facts("8.2.1", "", False, Account(), {name: Namespace("collection") for name in names})
    assert facts.of("shop") == ["things", "view"]
    assert facts.of("nothing") == []


class Counting:
    """A session, and every database and collection of it, whose counter is not what it has."""

    def __init__(self, counter: int, documents: int) -> None:
        self.counter = counter
        self.documents = documents
        self.asked: list[object] = []

    def database(self, name: str) -> Counting:
        self.asked.append(name)
        return self

    __getitem__ = database

    @contextmanager
    def asking(self, seconds: float | None = None) -> Iterator[None]:
        self.asked.append(seconds)
        yield

    def estimated_document_count(self) -> int:
        return self.counter

    def count_documents(self, query: dict[str, Any]) -> int:
        self.asked.append(query)
        return self.documents


@pytest.mark.parametrize(
    ("counter", "at_least", "found"), [(5, 0, 5), (5, 5, 5), (6, 5, 6), (4, 5, 3)], ids=["any", "as", "more", "fewer"]
)
def test_counter_is_doubted_where_it_says_too_few(counter: int, at_least: int, found: int):
    session = Counting(counter, 3)
    assert count_documents(cast(Session, session), ("shop", "with.dots"), at_least=at_least) == found
    assert session.asked == ["shop", "with.dots", None, *([600.0, {}] if found == 3 else [])]
