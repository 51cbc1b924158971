"""Names in which the tools would see more than a name, of databases and of collections."""

from __future__ import annotations

import itertools

import pytest

from dbbackup.db.mongodb.by_hand import pattern
from tests.db.mongodb.altering import change, fill, restored
from tests.requirements import requires

_numbers = itertools.count()


@pytest.mark.parametrize(
    ("name", "written"),
    [("shop", "shop.*"), ("a*b", "a\\*b.*"), ("a\\b", "a\\\\b.*"), ("**", "\\*\\*.*"), ("$db$-ü", "$db$-ü.*")],
    ids=ascii,
)  # fmt: skip
def test_pattern_stands_for_one_database_alone(name, written):
    assert pattern(name) == written


@requires("mongodb")
@pytest.mark.parametrize("name", ["a*", "ü-✓-日本", "with-dash", "*", "a[b]", "100%"], ids=ascii)
def test_database_of_any_name_goes_into_one_of_any_other(make_database, store, name):
    number = next(_numbers)
    source, target = make_database(f"{name}{number}"), make_database(f"{number}{name}", alias="shop")
    # What the names would reach if a star were one.
    near = make_database(f"{name.replace('*', 'b')}{number}")
    fill(source)
    fill(target)
    change(target)
    near.db["customer"].insert_one({"_id": "near"})
    before, untouched, dump = source.state(), near.state(), source.dump()
    run = restored(store, dump, "--exact")
    assert (run.status, run.error) == (0, "")
    assert target.state() == source.state() == before
    assert near.name in {source.name, target.name} or near.state() == untouched
    assert restored(store, target.dump(), "--exact").status == 0
    assert target.state() == before


@requires("mongodb")
def test_collections_of_any_name(make_database, store):
    database, other = make_database(), make_database(alias="shop")
    for name in ("a.b", "a*b", "*", "a'b", 'a"b', "a b", "--a", "ünï%s ✓", "a\\b", "a/b", "(x)", "^a", "x" * 200):
        database.db[name].insert_one({"_id": name})
        database.db[name].create_index("x", name=f"of {name[:50]}")
    before = database.state()
    assert restored(store, database.dump()).error == ""
    assert other.state() == before
