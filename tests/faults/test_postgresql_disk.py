"""A full disk: one clear error, and the database is untouched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.test_full_disk import needs_root, small
from tests.process import PostgresqlProject, manage
from tests.requirements import requires

__all__ = ["small"]

pytestmark = [requires("postgresql", "mount"), needs_root, pytest.mark.once]

ROWS = 30_000
CONNECTORS = ["PgDumpBinaryConnector", "PgDumpConnector"]


@pytest.mark.parametrize("connector", CONNECTORS)
def test_storage(pg: PostgresqlProject, small: Path, connector: str):
    pg.use(connector)
    pg.configure(f'STORAGES["dbbackup"]["OPTIONS"]["location"] = {str(small)!r}')
    pg.grow(ROWS)
    done = manage(pg, "dbbackup", "--no-compress")
    assert done.returncode == 1
    assert "Cannot store" in done.stderr
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert manage(pg, "listbackups").stdout.count("psql") == 0
    assert list(small.iterdir()) == []
    assert list(pg.tmp.iterdir()) == []


@pytest.mark.parametrize("with_manifest", [True, False])
def test_temporary_files_of_a_restore_with_jobs(pg: PostgresqlProject, small: Path, with_manifest: bool):
    pg.grow(ROWS)
    assert manage(pg, "dbbackup", "-z", "zstd").returncode == 0
    (stored,) = [path for path in pg.backups.iterdir() if path.suffix == ".zst"]
    if not with_manifest:
        stored.with_name(f"{stored.name}.metadata").unlink()
    pg.change()
    before = pg.state()
    pg.configure(f"DBBACKUP_TMP_DIR = {str(small)!r}")
    done = manage(pg, "dbrestore", "--noinput", "--jobs", "2", "-i", stored.name)
    assert done.returncode == 1
    assert "DBBACKUP_TMP_DIR" in done.stderr
    assert str(small) in done.stderr
    assert pg.state() == before
    assert list(small.iterdir()) == []


def test_a_restore_without_jobs_takes_no_temporary_files(pg: PostgresqlProject, small: Path):
    pg.grow(ROWS)
    before = pg.state()
    assert manage(pg, "dbbackup", "-z", "zstd").returncode == 0
    pg.change()
    pg.configure(f"DBBACKUP_TMP_DIR = {str(small)!r}")
    done = manage(pg, "dbrestore", "--noinput", "--exact")
    assert done.returncode == 0, done.stderr
    assert pg.state() == before
