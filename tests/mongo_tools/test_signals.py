"""What ends both programs before their time: signals, readers and servers that go away."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.mongo_tools.conftest import FIXTURES, STOPPED, end
from tests.requirements import requires
from tests.servers.account import free_port
from tests.servers.mongodb import MongoDB, running
from tests.servers.programs import mongodb_python

pytestmark = requires("mongodb")

MIXED = (FIXTURES / "mixed.archive").read_bytes()
# Behind the header of the first block of "products".
BEGUN = MIXED.index(b"products\0\x08EOF\0") + len(b"products\0\x08EOF\0?\x12CRC\0????????\0")
SIGNALS = pytest.mark.parametrize("number", STOPPED, ids=STOPPED.values())


@pytest.fixture
def large(database):
    database["large"].insert_many([{"data": os.urandom(500_000)} for _ in range(80)])
    return database


@pytest.fixture
def loading(tools, database) -> Iterator[subprocess.Popen[bytes]]:
    """Return a restore that waits for the next document of an archive."""
    words = [f"--config={tools.config}", "--archive", "--nsFrom=shop.*", f"--nsTo={database.name}.*"]
    with tools.start("mongorestore", *words, stdin=subprocess.PIPE, stdout=None) as process:
        process.stdin.write(MIXED[:BEGUN])
        process.stdin.flush()
        wait_for(process, b"restoring `%s.products`" % database.name.encode())
        yield process
        process.kill()


def wait_for(process: subprocess.Popen[bytes], text: bytes) -> None:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return
    raise AssertionError(b"".join(lines).decode())


@SIGNALS
def test_a_dump_that_is_told_to_end(tools, large, number):
    words = [f"--config={tools.config}", f"--db={large.name}", "--archive"]
    with tools.start("mongodump", *words) as process:
        # More than a pipe holds: it cannot have ended.
        process.stdout.read(100_000)
        process.send_signal(number)
        wait_for(process, f"signal '{STOPPED[number]}' received; attempting to shut down".encode())
        _, err = process.communicate(timeout=60)

    assert process.returncode == 1
    assert (
        err.decode()
        .rstrip()
        .endswith(
            f"Failed: error writing data for collection `{large.name}.large` to disk: received termination signal"
        )
    )


@SIGNALS
def test_a_restore_that_is_told_to_end_does_so_with_the_next_document(loading, number):
    loading.send_signal(number)
    wait_for(loading, f"signal '{STOPPED[number]}' received; attempting to shut down".encode())
    assert loading.poll() is None
    loading.stdin.write(MIXED[BEGUN : BEGUN + 10_000])

    run = end(loading)

    assert run.status == 1
    assert run.failure.endswith(": error restoring from archive on stdin: received termination signal")


def test_a_restore_whose_input_ends_after_the_signal(loading):
    loading.send_signal(signal.SIGTERM)
    wait_for(loading, b"attempting to shut down")

    run = end(loading)

    assert run.status == 1
    assert run.failure.endswith("error demultiplexing archive; archive io error")


@SIGNALS
def test_the_second_signal_ends_it_at_once(loading, number):
    loading.send_signal(number)
    wait_for(loading, b"attempting to shut down")
    loading.send_signal(number)
    wait_for(loading, f"signal '{STOPPED[number]}' received; forcefully terminating".encode())

    assert loading.wait(timeout=60) == 1


@SIGNALS
def test_a_restore_without_a_connection_dies_of_the_signal(tools, number):
    address = f"mongodb://127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=60000&foo=bar"
    with tools.start("mongorestore", f"--uri={address}", "--archive", stdin=subprocess.PIPE) as process:
        # Its last word before it connects.
        wait_for(process, b"unsupported URI parameter `foo`")
        process.send_signal(number)

        assert process.wait(timeout=30) == -number


def test_a_dump_whose_reader_is_gone(tools, large):
    words = [f"--config={tools.config}", f"--db={large.name}", "--archive"]
    with tools.start("mongodump", *words) as process:
        process.stdout.read(100_000)
        process.stdout.close()
        err = process.stderr.read().decode()

    assert process.returncode == 1
    assert err.rstrip().endswith(
        f"Failed: archive writer: error writing data for collection `{large.name}.large` to disk: "
        "error writing to file: short write / write /dev/stdout: broken pipe"
    )


@pytest.fixture
def own_server() -> Iterator[MongoDB]:
    with running(mongodb_python(), "mongodb") as server:
        yield server


@pytest.mark.slow
def test_a_server_that_dies_halfway_ends_both(tools, own_server, tmp_path):
    with own_server.client() as client:
        client["big"]["docs"].insert_many([{"data": os.urandom(500_000)} for _ in range(80)])
    here = type(tools)(tools.folder, own_server, tools.config)
    here.write_config(uri=here.address(options="&serverSelectionTimeoutMS=1000"))
    archive = here.dump("big").out

    with here.start("mongodump", f"--config={here.config}", "--db=big", "--archive") as dump:
        dump.stdout.read(100_000)
        own_server.crash()
        _, dump_err = dump.communicate(timeout=60)
    own_server.restart()
    words = [f"--config={here.config}", "--archive", "--drop"]
    with here.start("mongorestore", *words, stdin=subprocess.PIPE) as restore:
        restore.stdin.write(archive[:20_000_000])
        wait_for(restore, b"restoring `big.docs` from `archive on stdin`")
        own_server.crash()
        _, restore_err = restore.communicate(archive[20_000_000:], timeout=60)

    assert (dump.returncode, restore.returncode) == (1, 1)
    assert b"Failed: error writing data for collection `big.docs` to disk: error reading collection: " in dump_err
    assert b"Failed: big.docs: error restoring from archive on stdin: " in restore_err
