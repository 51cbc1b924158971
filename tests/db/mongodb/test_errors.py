"""What is quoted of the tools' errors, and what follows from it. The outputs are those of mongodump 100.18."""

from __future__ import annotations

import re

import pytest

from dbbackup.db.exceptions import CommandConnectorError, ConnectorError
from dbbackup.db.mongodb.errors import ServerError, advice, failed_documents, is_gone, is_transient, last_words

URI = "mongodb://ad%20min%40x%2F%3A:wr%3Aong%2Fs3cret@127.0.0.1:27117/?authSource=admin&serverSelectionTimeoutMS=2000"
LOGIN = (
    'connection() error occurred during connection handshake: auth error: unable to authenticate using mechanism '
    '"SCRAM-SHA-256": (AuthenticationFailed) authentication failed'
)  # fmt: skip
SELECTION = "server selection error: context deadline exceeded, current topology: { Type: Single, Servers: [{ Addr: "
REFUSED = (
    f"{SELECTION}127.0.0.1:1, Type: Unknown, Last error: dial tcp 127.0.0.1:1: connect: connection refused }}, ] }}"
)
NO_HOST = (
    f"{SELECTION}nosuch:27017, Type: Unknown, Last error: dial tcp: lookup nosuch on 10.0.0.1:53: no such host }}, ] }}"
)
DUPLICATE = "E11000 duplicate key error collection: shop.a.b ü index: _id_ dup key: { _id: %d }"
ORDERED = f"shop.a.b ü: error restoring from archive on stdin: bulk write exception: write errors: [{DUPLICATE % 0}]"
NOT_DROPPED = (
    "Failed: shop.log: error dropping collection: (Unauthorized) not authorized on shop to execute command (action: "
    "dropCollection)"
)
NOT_LISTED = (
    "Failed: error creating intents to dump: error getting collections for database `shop`: (Unauthorized) not "
    "authorized on shop to execute command (action: listCollections)"
)
SUMMARY = "%d document(s) restored successfully. %d document(s) failed to restore."
BEGUN = ["preparing collections to restore from", "reading metadata for `shop.log` from `archive on stdin`"]
FROM = "error restoring from archive on stdin"
CUT = f"shop.log: {FROM}: reading bson input: error demultiplexing archive; archive io error"
CRC = "corruption found in archive; ParserConsumer.HeaderBSON() ( CRC mismatch for namespace `shop.log`, 1665!=272 )"
NO_READER = (
    "archive writer: error writing data for collection `shop.log` to disk: short write / write /dev/stdout: broken pipe"
)
USAGE = ["error parsing command line options: unknown option `nonsense`", "try 'mongodump --help' for more information"]
DUMPING = ["writing `shop.log` to `archive on stdout`", "[####....]  shop.log  1000/5000  (20.0%)"]

# What a tool prints; what is quoted of it; of the advice; whether a dump may pass; whether the server is gone.
OUTPUTS = {
    "wrong password": (
        [f"Failed: can't create session: failed to connect to {URI}: {LOGIN}"],
        [f"Failed: can't create session: failed to connect to the server: {LOGIN}"],
        "AUTH_SOURCE", False, False,
    ),
    "wrong password of a restore": (
        [f"error connecting to host: failed to connect to {URI}: {LOGIN}"],
        [f"error connecting to host: failed to connect to the server: {LOGIN}"],
        "AUTH_SOURCE", False, False,
    ),
    "nobody listens": (
        [f"Failed: can't create session: failed to connect to {URI}: {REFUSED}"],
        [f"Failed: can't create session: failed to connect to the server: {REFUSED}"],
        "", True, True,
    ),
    "no such host": (
        [f"Failed: can't create session: failed to connect to mongodb+srv://own:s3cret@nosuch/?a=b: {NO_HOST}"],
        [f"Failed: can't create session: failed to connect to the server: {NO_HOST}"],
        "", True, True,
    ),
    "connection lost": (
        [*DUMPING, "Failed: error reading collection: connection(h:27017[-4]) socket was unexpectedly closed: EOF"],
        ["Failed: error reading collection: connection(h:27017[-4]) socket was unexpectedly closed: EOF"],
        "", True, True,
    ),
    "collection replaced": (
        [*DUMPING, "Failed: archive writer: error reading collection: (QueryPlanKilled) collection dropped"],
        ["Failed: archive writer: error reading collection: (QueryPlanKilled) collection dropped"],
        "", True, False,
    ),
    "may not list": (
        [NOT_LISTED],
        [NOT_LISTED],
        "role read", False, False,
    ),
    "may not drop": (
        [*BEGUN, "finished restoring `shop.log` (0 documents, 0 failures)", NOT_DROPPED, SUMMARY % (0, 0)],
        [NOT_DROPPED],
        "readWrite and dbAdmin", False, False,
    ),
    "unknown option": (USAGE, USAGE[:1], "newer mongodb-database-tools", False, False),
    "oplog of one database": (
        ["Failed: bad option: --oplog mode only supported on full dumps"],
        ["Failed: bad option: --oplog mode only supported on full dumps"],
        "", False, False,
    ),
    "oplog overflow": (
        ["Failed: oplog overflow: mongodump was unable to capture all new oplog entries during execution"],
        ["Failed: oplog overflow: mongodump was unable to capture all new oplog entries during execution"],
        "The oplog is too small", False, False,
    ),
    "duplicate": (
        [*BEGUN, "finished restoring `shop.a.b ü` (0 documents, 1 failure)", f"Failed: {ORDERED}", SUMMARY % (0, 1)],
        [f"Failed: {ORDERED}", SUMMARY % (0, 1)],
        "--no-drop", False, False,
    ),
    "duplicates passed over": (
        [*BEGUN, *(f"continuing through error: {DUPLICATE % number}" for number in range(2)), SUMMARY % (3, 2)],
        [*(f"continuing through error: {DUPLICATE % number}" for number in range(2)), SUMMARY % (3, 2)],
        "--no-drop", False, False,
    ),
    "the same error many times": (
        [*BEGUN, *["continuing through error: Document failed validation"] * 50, SUMMARY % (5, 50)],
        ["continuing through error: Document failed validation", SUMMARY % (5, 50)],
        "", False, False,
    ),
    "cut": (
        [*BEGUN, f"Failed: {CUT}", SUMMARY % (48, 0), "demux finishing when there are still outs (1)"],
        [f"Failed: {CUT}"],
        "", False, False,
    ),
    "checksum": ([*BEGUN, f"Failed: {CRC}", SUMMARY % (55, 0)], [f"Failed: {CRC}"], "", False, False),
    "no archive": (
        ["Failed: stream or file does not appear to be a mongodump archive", SUMMARY % (0, 0)],
        ["Failed: stream or file does not appear to be a mongodump archive"],
        "", False, False,
    ),
    "program behind a dump": (
        [*DUMPING, "|gzip: /full/disk: No space left on device", f"Failed: {NO_READER}"],
        ["gzip: /full/disk: No space left on device"],
        "", False, False,
    ),
    "silent program behind a dump": ([*DUMPING, f"Failed: {NO_READER}"], [f"Failed: {NO_READER}"], "", False, False),
    "program before a dump": (
        ["|Warning: Permanently added 'db' to the list of known hosts.", *USAGE], USAGE[:1], "newer", False, False,
    ),
    "no tool at all": (
        ["|bash: line 1: mongodump: command not found"],
        ["bash: line 1: mongodump: command not found"],
        "", False, False,
    ),
    "killed": (DUMPING, DUMPING, "", False, False),
    "names that look like errors": (
        ["writing `shop.unauthorized` to `archive on stdout`", "Failed: error writing `shop.EOF E11000 `: no room"],
        ["Failed: error writing `shop.EOF E11000 `: no room"],
        "", False, False,
    ),
    "nothing": ([], [], "", False, False),
}  # fmt: skip
TIMES = ["2026-11-23T22:46:22.670+0000\t", "2026-07-01T09:05:00.001-0330\t"]


def printed(lines: list[str], time: str) -> str:
    """Return what is on stderr: lines with the time, but for those of other programs."""
    return "".join(f"{line[1:]}\n" if line.startswith("|") else f"{time}{line}\n" for line in lines)


@pytest.mark.parametrize("case", OUTPUTS)
def test_what_is_quoted_and_what_follows(case: str):
    lines, quoted, cure, transient, gone = OUTPUTS[case]
    for time in TIMES:
        stderr = printed(lines, time)
        assert last_words(stderr).splitlines() == quoted
        assert (advice(stderr) == "") is (cure == "")
        assert cure in advice(stderr)
        assert is_transient(stderr) is transient
        assert is_gone(CommandConnectorError("x", returncode=1, stderr=stderr)) is gone


@pytest.mark.parametrize("case", OUTPUTS)
def test_nothing_secret_is_quoted(case: str):
    shown = last_words(printed(OUTPUTS[case][0], TIMES[0]))
    assert "s3cret" not in shown
    assert "mongodb://" not in shown
    assert not re.search(r"^\d{4}-", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("uri", "behind"),
    [
        ("mongodb://u:s3cret@h:1,i:2/?replicaSet=r", ": no"),
        ("mongodb+srv://u:s3cret@h/", " is not there"),
        ("mongodb://%2Ftmp%2Fm.sock/?a=s3cret", ""),
        ("mongodb://u:s3cret@[::1]:27017/?a=b:c", ": ::1"),
    ],
)
def test_connection_strings_are_not_shown(uri: str, behind: str):
    assert last_words(f"Failed: cannot reach {uri}{behind}\n") == f"Failed: cannot reach the server{behind}"


def test_what_needs_somebody_is_not_tried_again():
    assert is_transient("Failed: error dumping the oplog: unexpected EOF\n")
    assert not is_transient("Failed: oplog overflow: unexpected EOF\n")


def test_counts_of_failed_documents():
    counted = {
        "": 0,
        SUMMARY % (5, 0): 0,
        SUMMARY % (0, 1): 1,
        SUMMARY % (7, 20003): 20003,
        SUMMARY % (3, 10): 10,
        "finished restoring `shop.a` (0 documents, 5 failures)": 0,
    }
    for line, count in counted.items():
        assert failed_documents(printed([*BEGUN, line], TIMES[0])) == count


def test_other_errors_do_not_say_that_the_server_is_gone():
    assert is_gone(ServerError("x", gone=True))
    assert not is_gone(ServerError("connection refused"))
    assert not is_gone(ConnectorError("connection refused"))
    assert not is_gone(ConnectionRefusedError("connection refused"))


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("Authentication failed.", "AUTH_SOURCE"),
        ("not authorized on shop to execute command { listCollections: 1 }", "role read"),
        ("user is not allowed to do action [find] on [shop.a]", "role read"),
        ("Unknown command", ""),
    ],
)
def test_advice_on_what_a_server_says(said: str, part: str):
    assert part in advice(said)
    assert bool(advice(said)) is bool(part)
