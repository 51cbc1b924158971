"""A hot standby: it can be backed up, conflicts with its recovery are met by another try, and it takes no restore."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.gate import Gate
from tests.faults.standby import Standby, following
from tests.process import PostgresqlProject, manage
from tests.requirements import requires

pytestmark = [requires("postgresql", "bash"), pytest.mark.slow]

# More than the server sends ahead of a reader: the dump must be waiting for rows when they are removed.
ROWS = 400_000


@pytest.fixture
def standby(own_pg: PostgresqlProject) -> Iterator[Standby]:
    """Return a standby, which the project goes to from now on."""
    own_pg.grow(ROWS)
    with following(own_pg.cluster) as standby:
        own_pg.configure(f'DATABASES["default"]["PORT"] = "{standby.port}"')
        standby.catch_up()
        yield standby


def test_backup(own_pg: PostgresqlProject, standby: Standby):
    before = own_pg.state()
    done = manage(own_pg, "dbbackup", "-z", "zstd")
    assert done.returncode == 0, done.stderr
    own_pg.change()
    own_pg.configure(f'DATABASES["default"]["PORT"] = "{own_pg.cluster.port}"')
    done = manage(own_pg, "dbrestore", "--noinput", "--exact")
    assert done.returncode == 0, done.stderr
    assert own_pg.state() == before


def test_restore_is_refused(own_pg: PostgresqlProject, standby: Standby):
    before = own_pg.state()
    assert manage(own_pg, "dbbackup").returncode == 0
    done = manage(own_pg, "dbrestore", "--noinput")
    assert done.returncode == 1
    assert "standby" in done.stderr
    assert "Nothing was changed." in done.stderr
    assert own_pg.state() == before


@pytest.mark.parametrize("connector", ["PgDumpBinaryConnector", "PgDumpConnector"])
def test_a_conflict_with_recovery_is_met_by_another_try(
    own_pg: PostgresqlProject, standby: Standby, gate: Gate, connector: str
):
    own_pg.use(connector, DUMP_SUFFIX=f"| {gate.filter}")
    gate.run(own_pg, "dbbackup", "-o", "backup")
    conflict(own_pg, standby)
    done = gate.open()
    assert done.returncode == 0, done.stderr
    assert "conflict with recovery" in done.stderr
    assert "hot_standby_feedback" in done.stderr
    assert "Trying again (2 of 3)" in done.stderr
    new = own_pg.state()
    own_pg.use(connector)
    own_pg.configure(f'DATABASES["default"]["PORT"] = "{own_pg.cluster.port}"')
    own_pg.psql("TRUNCATE thing")
    done = manage(own_pg, "dbrestore", "--noinput", "-i", "backup")
    assert done.returncode == 0, done.stderr
    assert own_pg.state() == new
    assert sorted(path.name for path in own_pg.backups.iterdir()) == ["backup", "backup.metadata"]


def test_conflicts_without_end_are_an_error(own_pg: PostgresqlProject, standby: Standby, gate: Gate):
    own_pg.use("PgDumpBinaryConnector", DUMP_SUFFIX=f"| {gate.filter}")
    gate.run(own_pg, "dbbackup")
    for _ in range(2):
        conflict(own_pg, standby)
        gate.again()
    conflict(own_pg, standby)
    done = gate.open()
    assert done.returncode == 1
    assert "Trying again (3 of 3)" in done.stderr
    assert done.stderr.count("conflict with recovery") == 3
    assert "CommandError: default: Cannot dump" in done.stderr
    assert list(own_pg.backups.iterdir()) == []
    assert list(own_pg.tmp.iterdir()) == []


def conflict(project: PostgresqlProject, standby: Standby) -> None:
    """Remove rows that the dump still has to read."""
    project.psql("UPDATE thing SET name = reverse(name)")
    project.psql("VACUUM thing")
    standby.meet_conflict()
