"""A disk that is full, in the storage or for temporary files: one clear line, and nothing left."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process import Project, manage

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small tmpfs")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with room for 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) <= 3, done.stderr
    assert "No space left on device" in done.stderr
    return done.stderr


@needs_root
@pytest.mark.parametrize("connector", ["SqliteBackupConnector", "SqliteConnector", "SqliteCPConnector"])
def test_storage(project: Project, small: Path, connector: str):
    project.configure(
        f'STORAGES["dbbackup"]["OPTIONS"]["location"] = {str(small)!r}',
        f'DBBACKUP_CONNECTORS = {{"default": {{"CONNECTOR": "dbbackup.db.sqlite.{connector}"}}}}',
    )
    project.grow(50_000)
    assert "Cannot store" in one_line(manage(project, "dbbackup"))
    assert list(small.iterdir()) == []
    assert list(project.tmp.iterdir()) == []


@needs_root
def test_temporary_files_of_a_backup(project: Project, small: Path):
    project.configure(f"DBBACKUP_TMP_DIR = {str(small)!r}")
    project.grow(50_000)
    done = manage(project, "dbbackup")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) <= 3
    assert "full" in done.stderr or "space" in done.stderr
    assert list(small.iterdir()) == []
    assert list(project.backups.iterdir()) == []


@needs_root
def test_temporary_files_of_a_restore(project: Project, small: Path):
    project.grow(50_000)
    assert manage(project, "dbbackup", "-z").returncode == 0
    before = project.rows()
    project.configure(f"DBBACKUP_TMP_DIR = {str(small)!r}")
    done = manage(project, "dbrestore", "--noinput")
    assert done.returncode == 1
    assert "DBBACKUP_TMP_DIR" in done.stderr
    assert len(done.stderr.splitlines()) <= 5
    assert project.rows() == before
    assert list(small.iterdir()) == []


@needs_root
@pytest.mark.parametrize("connector", ["SqliteBackupConnector", "SqliteConnector"])
def test_disk_of_the_live_database(project: Project, small: Path, connector: str):
    """The restored database does not fit where the live one lies: the live one is as it was."""
    project.configure(f'DBBACKUP_CONNECTORS = {{"default": {{"CONNECTOR": "dbbackup.db.sqlite.{connector}"}}}}')
    project.grow(50_000)
    assert manage(project, "dbbackup").returncode == 0
    project.path = small / "db.sqlite3"
    project.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT)", "INSERT INTO thing VALUES (1, 'old')")
    project.configure(f'DATABASES["default"]["NAME"] = {str(project.path)!r}')
    done = manage(project, "dbrestore", "--noinput", "-q")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "full" in done.stderr
    assert project.rows() == [(1, "old")]
