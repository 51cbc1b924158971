"""Settings of the tests: the example's models on SQLite, everything in a folder of the run."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from tests import mysql_driver

mysql_driver.install()

# Made and removed by the test run alone: mypy and child processes (manage.py commands) read this
# file too, and the children must find the same folder. Each worker of a run has one of its own.
_RUN = os.environ.setdefault(
    "DBBACKUP_TEST_ROOT", str(Path(tempfile.gettempdir()) / f"dbbackup-tests-{secrets.token_hex(4)}")
)
ROOT = Path(_RUN + os.environ.get("PYTEST_XDIST_WORKER", ""))

SECRET_KEY = "a key for the tests"
USE_TZ = True
TIME_ZONE = "Europe/Zurich"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "dbbackup",
    "atlas",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ROOT / "default.sqlite3",
        # A file, not memory: child processes and programs open it as well.
        "TEST": {"NAME": ROOT / "test.sqlite3"},
    },
}
MEDIA_ROOT = ROOT / "media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "dbbackup": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": ROOT / "backups", "file_permissions_mode": 0o600},
    },
}
# Replaced by an outbox in memory during tests; Django before 6.1 does not read it and does the same.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"}}
DBBACKUP_HOSTNAME = "testhost"
