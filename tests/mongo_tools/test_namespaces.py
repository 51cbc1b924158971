"""Which namespaces mongorestore takes, and what it calls them."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from tests.mongo_tools.conftest import Run
from tests.requirements import requires

pytestmark = requires("mongodb")

DOLLAR = "'$' is not allowed in include/exclude patternsj"
NAMES = ["log", "log.old", "a*b", "aXb", "back\\slash"]


@pytest.fixture
def archive(tools, database) -> bytes:
    for name in NAMES:
        database[name].insert_one({"_id": name})
    found = bytes(tools.dump(database.name).out)
    for name in NAMES:
        database.drop_collection(name)
    return found


def taken(database: Database[Any], run: Run) -> list[str]:
    assert run.status == 0, run.err
    return sorted(database.list_collection_names())


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", NAMES),
        ("DB.*", NAMES),
        ("DB.log", ["log"]),
        ("DB.log*", ["log", "log.old"]),
        ("*.old", ["log.old"]),
        ("DB.a*b", ["a*b", "aXb"]),
        ("DB.a\\*b", ["a*b"]),
        ("DB.back\\\\slash", ["back\\slash"]),
        # Not the name that one would think.
        ("DB.back\\\\*", []),
        ("D\\B.l\\og", ["log"]),
        ("DB.LOG", []),
        ("DB.l.g", []),
        ("DB", []),
    ],
)
def test_patterns(tools, database, archive, pattern, names):
    pattern = pattern.replace("D\\B", "\\" + database.name).replace("DB", database.name)

    assert taken(database, tools.restore(archive, f"--nsInclude={pattern}")) == sorted(names)


def test_what_is_excluded_is_not_taken(tools, database, archive):
    run = tools.restore(archive, "--nsInclude", f"{database.name}.*", "--nsExclude=*.a*", "--nsExclude", "*.log")

    assert taken(database, run) == ["back\\slash", "log.old"]


def test_the_last_pair_that_matches_renames(tools, database, archive, new_database):
    other = new_database()
    old, new = database.name, other.name

    run = tools.restore(
        archive,
        f"--nsFrom={old}.*", f"--nsTo={new}.*", f"--nsFrom={old}.log*", f"--nsTo={new}.journal*",
        f"--nsFrom={old}.a\\*b", f"--nsTo={new}.star",
    )  # fmt: skip

    assert taken(other, run) == ["aXb", "back\\slash", "journal", "journal.old", "star"]
    assert database.list_collection_names() == []


def test_the_option_for_a_database_is_an_old_name_for_including(tools, database, archive):
    run = tools.restore(archive, f"--db={database.name}")

    assert run.lines[0].startswith("The --db and --collection flags are deprecated for this use-case")
    assert taken(database, run) == sorted(NAMES)
    assert tools.restore(archive, "--db=other").status == 0


@pytest.mark.parametrize(
    ("words", "failure"),
    [
        (["--nsFrom=a.*"], "--nsFrom and --nsTo arguments must be specified an equal number of times"),
        (
            ["--nsFrom=a.*", "--nsTo=b"],
            "invalid renames: Different number of asterisks in from: `a.*` and to: `b`",
        ),
        (
            ["--nsInclude=a$.*"],
            f"invalid includes: {DOLLAR} processing include/exclude pattern: 'a$.*'",
        ),
        (["--oplogReplay", "--nsInclude=a.*"], "cannot use --oplogReplay with includes specified"),
        (["--oplogReplay"], "no oplog file to replay; make sure you run mongodump with --oplog"),
        (["--nsFrom=*.log.old", "--nsTo=*.log"], "cannot restore with conflicting namespace destinations"),
    ],
    ids=["a pair of one", "other stars", "a dollar", "replay of a part", "replay of nothing", "two into one"],
)
def test_what_makes_no_sense_is_refused(tools, database, archive, words, failure):
    run = tools.restore(archive, *words)

    assert (run.status, run.failure) == (1, failure)
    assert database.list_collection_names() == []
