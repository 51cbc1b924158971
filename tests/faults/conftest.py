"""Projects on PostgreSQL, and the gate that stops their programs halfway."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.gate import Gate
from tests.process import PostgresqlProject
from tests.servers.postgresql import Cluster, running
from tests.servers.programs import debian_bin

MIB = 1 << 20

_numbers = itertools.count()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Return a gate that lets 1 MiB pass."""
    with Gate(tmp_path / "gate", MIB) as gate:
        yield gate


@pytest.fixture
def pg(tmp_path: Path, postgres: Cluster) -> Iterator[PostgresqlProject]:
    """Return a project on the server of the run."""
    yield (project := make(tmp_path, postgres))
    postgres.drop_database(project.name)


@pytest.fixture
def own_pg(tmp_path: Path) -> Iterator[PostgresqlProject]:
    """Return a project on a server of its own, which a test may stop."""
    with running(debian_bin(), "postgresql") as cluster:
        yield make(tmp_path, cluster)


def make(folder: Path, cluster: Cluster) -> PostgresqlProject:
    root = folder / "it's a project"
    root.mkdir()
    return PostgresqlProject(root, cluster, f"it's project {next(_numbers)}")
