"""A full disk: one clear error, and the database is as it was."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.gate import Gate
from tests.faults.mongodb import gated, grow, leftovers, mo
from tests.faults.test_full_disk import needs_root, small
from tests.process import MongodbProject, manage
from tests.requirements import requires

__all__ = ["mo", "small"]

pytestmark = [requires("mongodb", "mount"), pytest.mark.once, needs_root]

SPARE = 64


@pytest.fixture
def spacious(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with room for a small safety dump and what a disk keeps free beside it."""
    folder = tmp_path / "spacious"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SPARE + 16}m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_storage(mo: MongodbProject, small: Path):
    mo.configure(f'STORAGES["dbbackup"]["OPTIONS"]["location"] = {str(small)!r}')
    grow(mo)
    done = manage(mo, "dbbackup")
    assert done.returncode == 1
    assert "Cannot store" in done.stderr
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert manage(mo, "listbackups").stdout.count("default-") == 0
    assert list(small.iterdir()) == []
    assert leftovers(mo) == []


def test_no_room_for_the_file_with_the_password(mo: MongodbProject, small: Path):
    subprocess.run(["dd", "if=/dev/zero", f"of={small / 'other'}", "bs=4k"], check=False, capture_output=True)
    mo.configure(f"DBBACKUP_TMP_DIR = {str(small)!r}")
    done = manage(mo, "dbbackup")
    assert done.returncode == 1
    assert str(small) in done.stderr
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert [path.name for path in small.iterdir()] == ["other"]
    assert list(mo.backups.iterdir()) == []


def test_no_room_for_the_safety_dump(mo: MongodbProject, small: Path):
    grow(mo)
    assert manage(mo, "dbbackup").returncode == 0
    new = mo.state()
    mo.change()
    before = mo.state()
    mo.configure(f"DBBACKUP_TMP_DIR = {str(small)!r}")
    done = manage(mo, "dbrestore", "--noinput", "--exact")
    assert done.returncode == 1
    assert f"bytes in {small}, which has 0" in done.stderr
    assert "DBBACKUP_TMP_DIR" in done.stderr
    assert "Nothing was changed." in done.stderr
    assert mo.state() == before
    assert list(small.iterdir()) == []
    done = manage(mo, "dbrestore", "--noinput", "--exact", "--no-safety-dump")
    assert done.returncode == 0, done.stderr
    assert mo.state() == new
    assert list(small.iterdir()) == []


def test_the_disk_fills_before_the_safety_dump_is_whole(mo: MongodbProject, spacious: Path, gate: Gate):
    grow(mo)
    assert manage(mo, "dbbackup").returncode == 0
    mo.change()
    before = mo.state()
    mo.configure(f"DBBACKUP_TMP_DIR = {str(spacious)!r}")
    mo.use("MongoDumpConnector", DUMP_CMD=gated(mo, gate, "mongodump", size=1))
    gate.run(mo, "dbrestore", "--noinput")
    subprocess.run(["dd", "if=/dev/zero", f"of={spacious / 'other'}", "bs=1M"], check=False, capture_output=True)
    done = gate.open()
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert f"{spacious}: No space left on device" in done.stderr
    assert "DBBACKUP_TMP_DIR" in done.stderr
    assert mo.state() == before
    assert [path.name for path in spacious.iterdir()] == ["other"]
