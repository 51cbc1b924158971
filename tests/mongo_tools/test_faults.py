"""What mongorestore does about damage and errors, and what it leaves behind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pymongo.database import Database

from tests.mongo_tools.conftest import FIXTURES, Run, Tools, contents
from tests.requirements import requires

pytestmark = requires("mongodb")

MIXED = (FIXTURES / "mixed.archive").read_bytes()
EXPECTED = json.loads((FIXTURES / "mixed.expected.json").read_text(encoding="utf-8"))
TWENTY = [{"_id": number, "text": f"word {number}"} for number in range(20)]


@pytest.fixture
def things(tools: Tools, database: Database[Any]) -> tuple[Database[Any], bytes]:
    """Return a database with a collection of twenty documents and an index, and an archive of it."""
    database["thing"].insert_many(TWENTY)
    database["thing"].create_index("text")
    return database, tools.dump(database.name).out


def summary(run: Run) -> tuple[int, int]:
    words = run.last.split()
    assert run.last == f"{words[0]} document(s) restored successfully. {words[4]} document(s) failed to restore."
    return int(words[0]), int(words[4])


def load(tools: Tools, database: Database[Any], archive: bytes, *words: str) -> Run:
    """Load mixed.archive or a part of it into a database."""
    return tools.restore(archive, "--nsInclude=shop.*", "--nsFrom=shop.*", f"--nsTo={database.name}.*", *words)


def test_failed_documents_are_no_failure(tools, things):
    database, archive = things
    database["thing"].delete_one({"_id": 7})

    run = tools.restore(archive)

    assert (run.status, summary(run)) == (0, (1, 19))
    assert sum(line.startswith("continuing through error: E11000 duplicate key error") for line in run.lines) == 19
    assert f"restoring to existing collection `{database.name}.thing` without dropping" in run.lines


@pytest.mark.parametrize(
    ("word", "failed"),
    [("--stopOnError", 20), ("--maintainInsertionOrder", 1)],
    ids=["the first batch with errors", "the first error"],
)
def test_the_first_errors_may_end_it(tools, things, word, failed):
    database, archive = things

    run = tools.restore(archive, word)

    assert (run.status, summary(run)) == (1, (0, failed))
    assert run.failure.startswith(
        f"{database.name}.thing: error restoring from archive on stdin: bulk write exception: write errors: "
        "[E11000 duplicate key error"
    )


def test_a_validator_refuses_documents_unless_it_is_bypassed(tools, things):
    database, archive = things
    database.drop_collection("thing")
    database.create_collection("thing", validator={"_id": {"$gte": 5}})

    run = tools.restore(archive)
    bypassed = tools.restore(archive, "--bypassDocumentValidation")

    assert (run.status, summary(run)) == (0, (15, 5))
    assert "continuing through error: Document failed validation" in run.lines
    assert (bypassed.status, summary(bypassed)) == (0, (5, 15))
    assert database["thing"].count_documents({}) == 20


def test_one_changed_byte_is_noticed_when_everything_is_loaded(tools, things):
    database, archive = things
    database["thing"].delete_many({})
    damaged = archive.replace(b"word 7\0", b"sword7\0")

    run = tools.restore(damaged, "--drop")

    assert (run.status, summary(run)) == (1, (20, 0))
    assert "CRC mismatch for namespace" in run.failure
    assert run.failure.startswith("corruption found in archive; ")
    assert database["thing"].find_one({"_id": 7}) == {"_id": 7, "text": "sword7"}
    assert "text_1" in database["thing"].index_information()


def test_a_document_that_is_none_ends_it(tools, things):
    database, archive = things
    # The type of its field is one that there is not.
    damaged = archive.replace(b"\x02text\0\x07\0\0\0word 7\0", b"\x77text\0\x07\0\0\0word 7\0")

    runs = [tools.restore(damaged, "--drop", *words) for words in ([], ["--objcheck"])]

    for run in runs:
        assert run.status == 1
        assert run.failure.startswith(f"{database.name}.thing: error restoring from archive on stdin: ")


def test_damage_in_what_is_not_included_does_not_matter(tools, things):
    database, archive = things
    damaged = archive.replace(b"word 7\0", b"sword7\0")

    run = tools.restore(damaged, "--drop", "--nsInclude=nosuch.*")

    assert (run.status, summary(run)) == (0, (0, 0))
    assert list(database["thing"].find()) == TWENTY


def test_a_cut_archive_is_loaded_as_far_as_it_goes(tools, database):
    at = MIXED.index(b"with.dots.and", MIXED.index(b"\xff\xff\xff\xff")) + 60
    run = load(tools, database, MIXED[:at], "--drop")

    found = contents(database)
    assert run.status == 1
    assert run.failure == (
        f"{database.name}.with.dots.and ü: error restoring from archive on stdin: "
        "reading bson input: error demultiplexing archive; archive io error"
    )
    assert {name: found[name]["documents"] for name in ("log", "orders", "cheap")} == {
        name: EXPECTED[name]["documents"] for name in ("log", "orders", "cheap")
    }
    # Its indexes would have been next.
    assert [index["name"] for index in found["orders"]["indexes"]] == ["_id_"]
    assert "strict" not in found


@pytest.mark.parametrize(
    ("cut", "failure"),
    [
        (0, "I/O failure reading beginning of archive: EOF"),
        (2, "I/O failure reading beginning of archive: unexpected EOF"),
        (100, "corruption found in archive; read bson ( unexpected EOF )"),
        (128, "corruption found in archive; ParserConsumer.BodyBSON() ( EOF )"),
    ],
    ids=["nothing", "half a number", "half a header", "a header"],
)
def test_a_prelude_that_is_cut_off_loads_nothing(tools, cut, failure):
    # The archive's own header is as long as the names of versions are.
    data = MIXED[:cut] if cut != 128 else MIXED[: 4 + int.from_bytes(MIXED[4:8], "little")]

    run = tools.restore(data, "--drop")

    assert (run.status, run.failure, summary(run)) == (1, failure, (0, 0))


def test_collections_that_never_came_are_missed_after_their_indexes(tools, things):
    database, archive = things
    database["thing"].drop_indexes()
    prelude = archive[: archive.index(b"\xff\xff\xff\xff") + 4]

    run = tools.restore(prelude, "--drop")
    passed_over = tools.restore(prelude, "--nsInclude=nosuch.*")

    assert (run.status, passed_over.status) == (1, 1)
    name = f"`{database.name}.thing`"
    assert run.failure == f"error demultiplexing archive; archive finished before all collections were seen ({name})"
    assert passed_over.failure == (
        f"error demultiplexing archive; archive finished but contained files were unfinished ({name})"
    )
    assert list(database["thing"].find()) == TWENTY
    assert "text_1" in database["thing"].index_information()


@pytest.mark.parametrize(
    ("more", "failure"),
    [
        (b"xx", "I/O error reading length or terminator ( unexpected EOF )"),
        (b"\xff" * 4, "consecutive terminators / headerless blocks are not allowed"),
        (b"\x04\0\0\0", "4 is neither a valid bson length nor a archive terminator"),
    ],
    ids=["half a length", "a terminator", "a bad length"],
)
def test_what_follows_the_end_is_noticed(tools, things, more, failure):
    _, archive = things

    run = tools.restore(archive + more, "--drop")

    assert (run.status, summary(run)) == (1, (20, 0))
    assert run.failure == f"corruption found in archive; {failure}"


def test_only_collections_of_the_archive_are_dropped(tools, things):
    database, archive = things
    database["other"].insert_one({"_id": 1})
    database["thing"].insert_one({"_id": "later"})

    run = tools.restore(archive, "--drop")

    assert run.status == 0
    assert f"dropping collection `{database.name}.thing` before restoring" in run.lines
    assert list(database["thing"].find()) == TWENTY
    assert list(database["other"].find()) == [{"_id": 1}]


def test_an_index_of_that_name_is_in_the_way_when_the_documents_are_there(tools, things):
    database, archive = things
    database["thing"].drop_indexes()
    database["thing"].delete_many({})
    database["thing"].create_index("other", name="text_1")

    run = tools.restore(archive)

    assert (run.status, summary(run)) == (1, (20, 0))
    name = f"{database.name}.thing"
    assert run.failure.startswith(
        f"{name}: error creating indexes for {name}: createIndex error: (IndexKeySpecsConflict)"
    )


def test_a_dry_run_notices_nothing(tools, things):
    database, archive = things
    database.drop_collection("thing")

    run = tools.restore(archive[: len(archive) // 2], "--dryRun")

    assert (run.status, summary(run)) == (0, (0, 0))
    assert "dry run completed" in run.lines
    assert database.list_collection_names() == []


def test_a_file_that_is_not_there(tools, tmp_path):
    run = tools.run("mongorestore", f"--config={tools.config}", f"--archive={tmp_path / 'none'}")

    assert (run.status, run.failure) == (1, f"stat {tmp_path / 'none'}: no such file or directory")


def test_a_compressed_archive_has_to_be_one(tools):
    run = tools.restore(MIXED, "--gzip")

    assert (run.status, run.failure) == (1, "gzip: invalid header")


def test_a_disk_that_is_full(tools, things):
    database, _ = things
    words = (f"--config={tools.config}", f"--db={database.name}", "--archive")

    with open("/dev/full", "wb") as full, tools.start("mongodump", *words, stdout=full) as process:  # noqa: PTH123
        _, err = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "Failed: error writing metadata into archive: write /dev/stdout: no space left on device" in err.decode()
