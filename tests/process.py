"""A Django project in a folder of its own, run as child processes: what the program looks like from outside."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

SETTINGS = """
from pathlib import Path

ROOT = Path({root!r})
SECRET_KEY = "a key"
USE_TZ = True
INSTALLED_APPS = ["dbbackup"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ROOT / "db.sqlite3"}}}}
STORAGES = {{
    "default": {{"BACKEND": "django.core.files.storage.FileSystemStorage"}},
    "dbbackup": {{
        "BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {{"location": ROOT / "backups"}},
    }},
}}
DBBACKUP_TMP_DIR = ROOT / "tmp"
DBBACKUP_HOSTNAME = "testhost"
"""


class Project:
    """A project on SQLite in ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "db.sqlite3"
        self.backups = root / "backups"
        self.tmp = root / "tmp"
        self.backups.mkdir()
        self.tmp.mkdir()
        (root / "project_settings.py").write_text(SETTINGS.format(root=str(root)))
        self.env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]),
            "DJANGO_SETTINGS_MODULE": "project_settings",
        }
        self.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT)")
        self.execute("INSERT INTO thing (name) VALUES ('nut'), ('bolt'), ('Schräubchen')")

    def configure(self, *lines: str) -> None:
        """Add lines to the settings."""
        with (self.root / "project_settings.py").open("a") as file:
            file.write("\n".join(["", *lines, ""]))

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "django", *args]

    def execute(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def grow(self, rows: int) -> None:
        """Fill the table with rows of about 100 bytes that do not compress well."""
        self.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
            " INSERT INTO thing (name) SELECT hex(randomblob(50)) FROM n"
        )

    def rows(self) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return connection.execute("SELECT id, name FROM thing ORDER BY id").fetchall()


def manage(project: Project, *args: str, text: bool = True, **options: Any) -> subprocess.CompletedProcess[Any]:
    """Run a command of the project to its end."""
    return subprocess.run(
        project.command(*args), env=project.env, capture_output=True, text=text, timeout=300, check=False, **options
    )
