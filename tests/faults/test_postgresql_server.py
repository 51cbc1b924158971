"""The server goes away halfway: a clear error, nothing listed, and the old data when it is back."""

from __future__ import annotations

import pytest

from tests.faults.gate import Gate
from tests.process import PostgresqlProject, manage
from tests.requirements import requires

pytestmark = [requires("postgresql", "bash"), pytest.mark.once]

ROWS = 30_000
CONNECTORS = ["PgDumpBinaryConnector", "PgDumpConnector"]


@pytest.mark.parametrize("connector", CONNECTORS)
def test_during_a_dump(own_pg: PostgresqlProject, gate: Gate, connector: str):
    own_pg.use(connector, DUMP_SUFFIX=f"| {gate.filter}")
    own_pg.grow(ROWS)
    before = own_pg.state()
    gate.run(own_pg, "dbbackup", "-z", "zstd")
    own_pg.cluster.crash()
    done = gate.open()
    assert done.returncode == 1
    assert "Cannot dump database 'default'" in done.stderr
    assert "The server ended the connection" in done.stderr
    assert len(done.stderr.splitlines()) <= 5
    assert list(own_pg.backups.iterdir()) == []
    assert list(own_pg.tmp.iterdir()) == []
    own_pg.cluster.restart()
    assert own_pg.state() == before


@pytest.mark.parametrize("how", [[], ["--exact"]])
@pytest.mark.parametrize("connector", CONNECTORS)
def test_during_a_restore(own_pg: PostgresqlProject, gate: Gate, connector: str, how: list[str]):
    own_pg.use(connector)
    own_pg.grow(ROWS)
    new = own_pg.state()
    assert manage(own_pg, "dbbackup", "-z", "zstd").returncode == 0
    own_pg.change()
    old = own_pg.state()
    own_pg.use(connector, RESTORE_PREFIX=f"{gate.filter} | env")
    gate.run(own_pg, "dbrestore", "--noinput", *how)
    own_pg.cluster.crash()
    done = gate.open()
    assert done.returncode == 1
    assert "Cannot restore database 'default'" in done.stderr
    assert "The server ended the connection" in done.stderr
    assert "The database is as it was." in done.stderr
    assert len(done.stderr.splitlines()) <= 8, done.stderr
    assert list(own_pg.tmp.iterdir()) == []
    own_pg.cluster.restart()
    assert own_pg.state() == old
    own_pg.use(connector)
    done = manage(own_pg, "dbrestore", "--noinput", "--exact")
    assert done.returncode == 0, done.stderr
    assert own_pg.state() == new
