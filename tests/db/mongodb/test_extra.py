"""Without the packages of the extra: whoever uses the connector is told what to install, and nobody else is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.db.mongodb import archives
from tests.process import BaseProject

INSTALL = 'pip install "dbbackup-django[mongodb]"'
WITHOUT = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Without())
from django.core.management import execute_from_command_line
execute_from_command_line()
"""
SHELL = """
import sys
from dbbackup.db import get_connector
from dbbackup.db.sqlite import SqliteConnector
assert "pymongo" not in sys.modules, "imported for another engine"
try:
    get_connector("default", {"ENGINE": "django_mongodb_backend"})
except Exception as exc:
    print(type(exc).__module__, type(exc).__name__, exc)
"""


class Project(BaseProject):
    """A project with a database of an engine that needs no package, and with our connector."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, {"ENGINE": "django.db.backends.dummy", "NAME": "shop"})
        self.configure('DBBACKUP_CONNECTORS = {"default": {"CONNECTOR": "dbbackup.db.mongodb.MongoDumpConnector"}}')

    def manage(self, *args: str, missing: str) -> subprocess.CompletedProcess[str]:
        """Run a command where a package cannot be imported."""
        script = self.root / "manage.py"
        script.write_text(WITHOUT.format(missing=missing))
        args = (sys.executable, str(script), *args)
        return subprocess.run(
            args, env=self.env, cwd=self.root, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize("missing", ["pymongo", "bson", "fastcrc"])
def test_missing_package_and_its_extra_are_named(project: Project, missing: str):
    done = project.manage("shell", "--no-imports", "-c", SHELL, missing=missing)
    assert done.stdout == (
        f"dbbackup.exceptions ConfigurationError The connector for MongoDB needs more packages ({missing}): {INSTALL}\n"
    ), done.stderr


def test_check_says_what_to_install(project: Project):
    done = project.manage("check", missing="fastcrc")
    assert done.returncode == 1
    assert f"(dbbackup.E007) The connector for MongoDB needs more packages (fastcrc): {INSTALL}" in done.stderr
    assert "Traceback" not in done.stderr


def test_backup_says_what_to_install(project: Project):
    done = project.manage("dbbackup", missing="pymongo")
    assert done.returncode == 1
    assert f"needs more packages (pymongo): {INSTALL}" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(project.backups.iterdir()) == []


def test_verification_says_what_it_could_not_open(project: Project):
    backup = project.backups / "default-testhost-2026-01-02-030405.dump"
    backup.write_bytes(archives.archive(archives.Collection("c")))
    done = project.manage("verifybackups", missing="fastcrc")
    assert done.returncode == 0, done.stderr
    assert f"stored bytes intact, not opened: The connector for MongoDB needs more packages (fastcrc): {INSTALL}" in (
        done.stdout + done.stderr
    )
    backup.write_bytes(backup.read_bytes()[:-1])
    done = project.manage("verifybackups", missing="nothing")
    assert done.returncode == 1
    assert "The archive cannot be restored: it was cut" in done.stdout + done.stderr
