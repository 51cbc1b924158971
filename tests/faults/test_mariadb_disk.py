"""A full disk, here or the server's: one clear error, and the database is as it was."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.gate import Gate
from tests.faults.mariadb import ROWS, my, own_my
from tests.faults.test_full_disk import needs_root, small
from tests.process import MariadbProject, manage
from tests.requirements import requires

__all__ = ["my", "own_my", "small"]

pytestmark = [requires("mariadb"), pytest.mark.once]

SPARE = 64


@pytest.fixture
def spacious(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with room for a small safety dump and what a disk keeps free beside it."""
    folder = tmp_path / "spacious"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SPARE + 16}m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@requires("mount")
@needs_root
def test_storage(my: MariadbProject, small: Path):
    my.configure(f'STORAGES["dbbackup"]["OPTIONS"]["location"] = {str(small)!r}')
    my.grow(ROWS)
    done = manage(my, "dbbackup", "--no-compress")
    assert done.returncode == 1
    assert "Cannot store" in done.stderr
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert manage(my, "listbackups").stdout.count("default-") == 0
    assert list(small.iterdir()) == []
    assert list(my.tmp.iterdir()) == []


@requires("mount")
@needs_root
def test_no_room_for_the_safety_dump(my: MariadbProject, small: Path):
    my.grow(ROWS)
    assert manage(my, "dbbackup", "-z", "zstd").returncode == 0
    new = my.state()
    my.change()
    before = my.state()
    my.configure(f"DBBACKUP_TMP_DIR = {str(small)!r}")
    done = manage(my, "dbrestore", "--noinput", "--exact")
    assert done.returncode == 1
    assert f"bytes in {small}, which has 0" in done.stderr
    assert "DBBACKUP_TMP_DIR" in done.stderr
    assert "Nothing was changed." in done.stderr
    assert my.state() == before
    assert list(small.iterdir()) == []
    done = manage(my, "dbrestore", "--noinput", "--exact", "--no-safety-dump")
    assert done.returncode == 0, done.stderr
    assert my.state() == new
    assert list(small.iterdir()) == []


@requires("mount", "bash")
@needs_root
def test_the_disk_fills_before_the_safety_dump_is_whole(my: MariadbProject, spacious: Path, gate: Gate):
    my.grow(ROWS)
    assert manage(my, "dbbackup", "-z", "zstd").returncode == 0
    my.change()
    before = my.state()
    my.configure(f"DBBACKUP_TMP_DIR = {str(spacious)!r}")
    my.use("MysqlDumpConnector", DUMP_PREFIX=f"{gate.filter} < /dev/null && ")
    gate.run(my, "dbrestore", "--noinput")
    subprocess.run(["dd", "if=/dev/zero", f"of={spacious / 'other'}", "bs=1M"], check=False, capture_output=True)
    done = gate.open()
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert f"{spacious}: No space left on device" in done.stderr
    assert "DBBACKUP_TMP_DIR" in done.stderr
    assert my.state() == before
    assert [path.name for path in spacious.iterdir()] == ["other"]


def test_a_server_without_room(own_my: MariadbProject):
    """A table in memory, which may not grow, stands for a disk that is full: the error is the same."""
    own_my.server.restart("--max-heap-table-size=16384")
    own_my.sql("DROP TABLE thing; CREATE TABLE thing (id int PRIMARY KEY, name varchar(100)) ENGINE=MEMORY")
    own_my.grow(10)
    before = own_my.state()
    path = own_my.root / "large.sql"
    rows = ", ".join(f"({number}, '{number:099}')" for number in range(1000))
    path.write_text(f"DELETE FROM thing;\nINSERT INTO thing VALUES {rows};\n")
    done = manage(own_my, "dbrestore", "--noinput", "-I", str(path))
    assert done.returncode == 1
    assert "ERROR 1114" in done.stderr
    assert "The server has no room for the table" in done.stderr
    assert "The safety dump was put back and verified: database 'default' is as it was." in done.stderr
    assert own_my.state() == before
    assert list(own_my.tmp.iterdir()) == []
