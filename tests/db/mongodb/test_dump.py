"""How the dump program is run, what goes around it, and what passes for a dump."""

from __future__ import annotations

import io
import shlex
from contextlib import closing
from pathlib import Path

import pytest

from dbbackup.db.exceptions import CommandConnectorError, ConnectorError, DumpError
from tests.db.mongodb.everything import KINDS, Command, fill, script
from tests.requirements import requires

pytestmark = requires("mongodb")

THINGS: list[Command] = [
    {"insert": "thing", "documents": [{"_id": n, "text": f"{n} " * 50} for n in range(300)]},
    {"create": "z view", "viewOn": "thing", "pipeline": []},
]
AWKWARD = 'it\'s a; "$(folder)" & more'


@pytest.fixture
def awkward(tmp_path):
    """Return a folder whose name a shell would make something else of."""
    folder = tmp_path / AWKWARD
    folder.mkdir()
    return folder


def notes(path):
    return path.read_text().splitlines()


def test_arguments_are_what_they_should_be(database, tmp_path):
    noted, modes = tmp_path / "arguments", tmp_path / "modes"
    fill(database, THINGS)
    noting = f"""printf '%s\\n' "$@" > '{noted}'
        stat -c '%a %h' "${{1#--config=}}" > '{modes}'; readlink /proc/self/fd/0 >> '{modes}'"""
    dump = database.dump(DUMP_CMD=script(tmp_path / "dump", "mongodump", noting), EXCLUDE=["z*"])
    config, *others = notes(noted)
    assert config.startswith(f"--config={tmp_path}/")
    assert others == ["--archive", f"--db={database.name}", "--excludeCollection=z view"]
    assert notes(modes) == ["600 1", "/dev/null"]
    database.connector().verify_dump(io.BytesIO(dump))


def test_arguments_of_a_restore_are_what_they_should_be(database, make_database, tmp_path):
    fill(database, THINGS)
    dump, other, noted = database.dump(), make_database(), tmp_path / "arguments"
    noting = f"printf '%s\\n' \"$@\" > '{noted}'"
    command = script(tmp_path / "restore", "mongorestore", noting)
    careful = ["--maintainInsertionOrder", "--bypassDocumentValidation"]
    database.restore(dump, RESTORE_CMD=command)
    here = f"{database.name}.*"
    assert notes(noted)[1:] == ["--archive", "--drop", "--objcheck", f"--nsInclude={here}", *careful]
    other.restore(dump, RESTORE_CMD=command, DROP=False, OBJECT_CHECK=False)
    renamed = [f"--nsInclude={here}", f"--nsFrom={here}", f"--nsTo={other.name}.*"]
    assert notes(noted)[1:] == ["--archive", *renamed, *careful]


def test_nothing_but_the_configuration_is_on_the_disk_while_a_dump_runs(store, make_database, tmp_path):
    database = make_database(alias="shop")
    fill(database, KINDS)
    seen = tmp_path / "seen"
    watching = f"find '{store.tmp}' -mindepth 1 -printf '%y %s %P\\n' >> '{seen}'"
    command = script(tmp_path / "dump", "mongodump", watching, then=f'TOOL "$@"; status=$?; {watching}; exit $status')
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"DUMP_CMD": command}}
    store.backup()
    files = [line for line in notes(seen) if line.startswith("f ")]
    # Before the archive and after it.
    sizes = [(line.rpartition("/")[2], int(line.split()[1])) for line in files]
    assert [name for name, size in sizes if size] == ["config.yaml"] * 2
    assert max(size for _, size in sizes) < 1000
    assert [*store.tmp.iterdir()] == []


def test_configuration_is_gone_when_a_dump_is_closed_early(database):
    fill(database, KINDS)
    with closing(database.connector().create_dump()) as dump:
        dump.read(1)
        assert [path for path in database.tmp.rglob("*") if path.is_file()]
    assert [path for path in database.tmp.rglob("*") if path.is_file()] == []


def test_manifest_says_what_made_the_dump(store, make_database):
    database = make_database(alias="shop")
    fill(database, THINGS)
    manifest = store.manifest(store.backup("-z"))
    assert manifest["connector"] == "dbbackup.db.mongodb.MongoDumpConnector"
    assert manifest["versions"]["server"].startswith("8.")
    assert "mongodump" in str(manifest["versions"])
    assert not manifest["limits"]
    assert database.connector().table_counts() == {"thing": 300}


CUT = {
    "nothing": ("true", "it is empty"),
    "half": ("""TOOL "$@" 2> errors | head -c 1000; exit 0""", "was cut"),
    "without its end": ("""TOOL "$@" | head -c -4; exit 0""", "was cut"),
    "without a collection": ("""TOOL "$@" | head -c -100; exit 0""", "cut|not whole"),
    "another program": ("echo this is no archive", "no archive of mongodump"),
    "a changed byte": ("""TOOL "$@" | LC_ALL=C sed 's/299 299/299 298/'; exit 0""", "checksum of .*thing"),
}


@pytest.mark.parametrize("how", CUT)
def test_program_that_ends_early_with_status_0_makes_no_backup(store, make_database, tmp_path, how):
    lines, error = CUT[how]
    fill(make_database(alias="shop"), THINGS)
    command = script(tmp_path / "dump", "mongodump", f"cd '{tmp_path}'", then=lines)
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"DUMP_CMD": command}}
    run = store.run("dbbackup")
    assert run.status == 1
    assert "What mongodump wrote is not whole" in run.error
    with pytest.raises(DumpError, match=error):
        raise DumpError(run.error)
    assert store.stored() == []
    assert [*store.tmp.iterdir()] == []


def test_program_that_left_out_a_collection_makes_no_backup(database, tmp_path):
    fill(database, [*THINGS, {"insert": "other", "documents": [{"_id": 1}]}])
    command = script(tmp_path / "dump", "mongodump", then='exec TOOL "$@" --excludeCollection=thing')
    with pytest.raises(DumpError, match=rf"mongodump left out {database.name}\.thing\."):
        database.dump(DUMP_CMD=command)


def test_program_that_fails_halfway_makes_no_backup(store, make_database, tmp_path):
    fill(make_database(alias="shop"), THINGS)
    words = "2026-01-01T00:00:00.000+0000\tFailed: the disk says no"
    command = script(tmp_path / "dump", "mongodump", then=f"""TOOL "$@" | head -c 2000; echo '{words}' >&2; exit 1""")
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"DUMP_CMD": command}}
    run = store.run("dbbackup")
    assert run.status == 1
    assert "Cannot dump database 'shop'" in run.error
    assert "exited with status 1: Failed: the disk says no" in run.error
    assert len(run.error.splitlines()) <= 4
    assert store.stored() == []
    assert [*store.tmp.iterdir()] == []


def test_whole_archive_of_a_program_that_fails_in_the_end_makes_no_backup(database, tmp_path):
    fill(database, THINGS)
    with pytest.raises(CommandConnectorError, match="status 7"):
        database.dump(DUMP_CMD=script(tmp_path / "dump", "mongodump", then='TOOL "$@"; exit 7'))


def failing(folder: Path, times: int, words: str) -> str:
    """Return a program that fails with words that many times, and then dumps; it counts its runs in a file."""
    count = folder / "runs"
    lines = f"echo run >> '{count}'; if [ $(wc -l < '{count}') -le {times} ]; then echo '{words}' >&2; exit 1; fi"
    return script(folder / "failing", "mongodump", lines)


TRANSIENT = {
    "connection": "Failed: error writing data: connection(127.0.0.1:1[-3]) socket was unexpectedly closed: EOF",
    "cursor": "Failed: error reading collection: (CursorNotFound) cursor id 5 not found",
    "stepdown": "Failed: error reading collection: (PrimarySteppedDown) primary stepped down",
}


@pytest.mark.parametrize("words", TRANSIENT.values(), ids=TRANSIENT)
def test_transient_errors_are_tried_again(store, make_database, tmp_path, words):
    database = make_database(alias="shop")
    fill(database, THINGS)
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"DUMP_CMD": failing(tmp_path, 2, words)}}
    run = store.run("dbbackup", "--json")
    assert run.error == ""
    assert "Trying again (3 of 3)" in run.err
    assert notes(tmp_path / "runs") == ["run"] * 3
    assert len(store.stored()) == 2
    assert store.run("verifybackups").status == 0


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        (TRANSIENT["connection"], 3),
        ("Failed: (Unauthorized) not authorized on x to execute command", 1),
        ("Failed: odd", 1),
    ],
    ids=["transient", "rights", "unknown"],
)  # fmt: skip
def test_error_that_stays_is_tried_as_often_as_it_may_pass(store, make_database, tmp_path, words, runs):
    fill(make_database(alias="shop"), THINGS)
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"DUMP_CMD": failing(tmp_path, 9, words)}}
    run = store.run("dbbackup")
    assert run.status == 1
    assert words.partition(": ")[2][:20] in run.error
    assert notes(tmp_path / "runs") == ["run"] * runs
    assert store.stored() == []


def test_pipe_is_undone_at_the_restore(store, make_database, awkward):
    database = make_database(alias="shop")
    fill(database, KINDS)
    before = database.state()
    noted = shlex.quote(str(awkward / "passed"))
    store.settings.DBBACKUP_CONNECTORS = {
        "shop": {
            "DUMP_PREFIX": "nice -n 5",
            "DUMP_SUFFIX": f"| tee {noted} | gzip -1",
            "RESTORE_PREFIX": "gunzip |",
            "RESTORE_SUFFIX": "--numParallelCollections=1",
            "DUMP_CMD": script(awkward / "a dump", "mongodump", f"nice > {shlex.quote(str(awkward / 'nice'))}"),
            "RESTORE_CMD": script(awkward / "a restore", "mongorestore"),
        }
    }
    name = store.backup()
    assert notes(awkward / "nice") == ["5"]
    (stored,) = [store.folder / file for file in store.stored() if not file.endswith(".metadata")]
    assert stored.read_bytes()[:2] == b"\x1f\x8b"
    assert store.manifest(name)["limits"] == {"piped": True}
    assert store.run("verifybackups").status == 0
    database.db["values"].drop()
    assert store.run("dbrestore", "--noinput").error == ""
    assert database.state() == before
    assert [*store.tmp.iterdir()] == []


def test_cut_dump_behind_a_pipe_is_refused_before_anything_changes(store, make_database):
    database = make_database(alias="shop")
    fill(database, THINGS)
    store.settings.DBBACKUP_CONNECTORS = {
        "shop": {"DUMP_SUFFIX": "| (head -c 3000; cat > /dev/null) | gzip", "RESTORE_PREFIX": "gunzip |"}
    }
    # What a pipe of the user's does is the user's.
    store.backup()
    before = database.state()
    run = store.run("verifybackups")
    assert run.status == 1
    run = store.run("dbrestore", "--noinput")
    assert run.status == 1
    assert "was cut" in run.error
    assert database.state() == before


def test_failing_pipe_makes_no_backup(store, make_database):
    fill(make_database(alias="shop"), THINGS)
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"DUMP_SUFFIX": "| (gzip; exit 3)"}}
    run = store.run("dbbackup")
    assert run.status == 1
    assert "status 3" in run.error
    assert store.stored() == []


def test_suffix_of_options_alone_leaves_the_archive_looked_at(database):
    fill(database, THINGS)
    suffix = "--numParallelCollections=1 --excludeCollection='thing'"
    with pytest.raises(ConnectorError, match="left out"):
        database.dump(DUMP_SUFFIX=suffix)
    database.connector().verify_dump(io.BytesIO(database.dump(DUMP_SUFFIX="--numParallelCollections=1")))


def test_environment_reaches_the_programs(database, tmp_path):
    fill(database, THINGS)
    for direction, tool in (("dump", "mongodump"), ("restore", "mongorestore")):
        noting = f"""echo "$BOTH $ONE" > '{tmp_path / direction}.noted'"""
        settings = {
            f"{direction.upper()}_CMD": script(tmp_path / direction, tool, noting),
            "ENV": {"BOTH": "of both", "ONE": "of none"},
            f"{direction.upper()}_ENV": {"ONE": f"of the {direction}; $(x)"},
        }
        database.restore(database.dump(**settings), **settings)
        assert notes(tmp_path / f"{direction}.noted") == [f"of both of the {direction}; $(x)"]
