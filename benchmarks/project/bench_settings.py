"""Settings from the environment of a run."""

from __future__ import annotations

import os

SECRET_KEY = "a key for measuring"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "dbbackup"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["BENCH_DATABASE"]},
}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "dbbackup": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": os.environ["BENCH_STORAGE"], "file_permissions_mode": 0o600},
    },
}
DBBACKUP_CONNECTORS = {
    "default": {"CONNECTOR": f"dbbackup.db.sqlite.{os.environ['BENCH_CONNECTOR']}"},
}
DBBACKUP_TMP_DIR = os.environ["TMPDIR"]
