"""Fixtures and hooks of the whole test run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests import requirements
from tests.mongo_tools import finding
from tests.process import Project
from tests.servers import mariadb as mariadb_server
from tests.servers import mongodb as mongodb_server
from tests.servers import postgresql, programs
from tests.settings import ROOT
from tests.shop import ALIAS, Shop, Store


def pytest_sessionstart() -> None:
    """Make the folder that the settings name."""
    ROOT.mkdir(mode=0o700)


def pytest_report_header() -> str:
    """Say which of MongoDB's programs are tested with."""
    return finding.header()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Remove it with everything that the tests left in it."""
    shutil.rmtree(ROOT)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail a test whose programs are not installed, before its fixtures are made."""
    for marker in item.iter_markers("requires"):
        reason = requirements.missing(marker.args)
        if reason is None:
            continue
        if requirements.must_run():
            pytest.fail(f"{reason} ({requirements.REQUIRE_VARIABLE}=all)", pytrace=False)
        pytest.skip(reason)


@pytest.fixture
def databases(django_db_blocker: Any) -> Iterator[Callable[..., None]]:
    """Return what adds an alias to the project's databases for the length of a test."""
    added: list[str] = []

    def add(alias: str, **content: Any) -> None:
        configured = connections.configure_settings({"default": {}, alias: content})
        connections.settings[alias] = configured[alias]
        added.append(alias)

    with django_db_blocker.unblock():
        yield add
        for alias in added:
            connections[alias].close()
            if (in_memory := connections[alias].connection) is not None:
                # Django keeps it open, because closing deletes it; Python 3.13 warns of that.
                in_memory.close()
            del connections[alias]
            del connections.settings[alias]


@pytest.fixture
def store(tmp_path: Path, settings: Any) -> Store:
    """Return the commands and an empty storage, with a database to be made under the alias "shop"."""
    store = Store(tmp_path / "backups", tmp_path / "tmp", settings)
    store.tmp.mkdir()
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {
        **settings.STORAGES,
        "dbbackup": {"BACKEND": backend, "OPTIONS": {"location": str(store.folder)}},
    }
    settings.DBBACKUP_DATABASES = [ALIAS]
    settings.DBBACKUP_TMP_DIR = str(store.tmp)
    return store


@pytest.fixture
def shop(tmp_path: Path, databases: Callable[..., None], store: Store) -> Shop:
    """Return a small database and its storage, the only ones that commands see by default."""
    shop = Shop(store.folder, store.tmp, store.settings, tmp_path / "shop.sqlite3")
    databases(ALIAS, ENGINE="django.db.backends.sqlite3", NAME=str(shop.path))
    shop.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT)")
    shop.execute("INSERT INTO thing (name) VALUES ('nut'), ('bolt'), ('Schräubchen')")
    return shop


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project whose commands run as child processes."""
    root = tmp_path / "it's a project"
    root.mkdir()
    return Project(root)


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgresql.Cluster]:
    """Return a PostgreSQL server of Debian's; a test says ``requires("postgresql")``, and "postgis" for that."""
    with postgresql.running(programs.debian_bin(), "postgresql") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def newer_postgres() -> Iterator[postgresql.Cluster]:
    """Return a PostgreSQL 17 server; a test says ``requires("postgresql:newer")``."""
    with postgresql.running(programs.newer_bin(), "postgresql:newer") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def mariadb() -> Iterator[mariadb_server.MariaDB]:
    """Return a MariaDB server of Debian's; a test says ``requires("mariadb")``."""
    with mariadb_server.running(programs.mariadb_bin(), "mariadb") as server:
        yield server


@pytest.fixture(scope="session")
def newer_mariadb() -> Iterator[mariadb_server.MariaDB]:
    """Return a MariaDB 11.4 server; a test says ``requires("mariadb:newer")``."""
    with mariadb_server.running(programs.newer_mariadb_bin(), "mariadb:newer") as server:
        yield server


@pytest.fixture(scope="session")
def mongodb() -> Iterator[mongodb_server.MongoDB]:
    """Return a MongoDB server; a test says ``requires("mongodb")``."""
    with mongodb_server.running(programs.mongodb_python(), "mongodb") as server:
        yield server


@pytest.fixture(scope="session")
def mongo_tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with mongodump and mongorestore, to be the first on PATH: real ones, or stand-ins."""
    return finding.provide(tmp_path_factory.mktemp("mongo's tools"))
