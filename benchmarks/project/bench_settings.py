"""Settings from the environment of a run."""

from __future__ import annotations

import json
import os

SECRET_KEY = "a key for measuring"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "dbbackup"]
DATABASES = {"default": json.loads(os.environ["BENCH_DATABASE"])}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "dbbackup": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": os.environ["BENCH_STORAGE"], "file_permissions_mode": 0o600},
    },
}
DBBACKUP_CONNECTORS = {"default": {"CONNECTOR": os.environ["BENCH_CONNECTOR"]}}
DBBACKUP_TMP_DIR = os.environ["TMPDIR"]
DBBACKUP_AGE_RECIPIENTS = [os.environ["BENCH_AGE_RECIPIENT"]]
DBBACKUP_AGE_IDENTITY_FILE = os.environ["BENCH_AGE_IDENTITY"]

if DATABASES["default"]["ENGINE"].endswith(".mysql"):
    import pymysql

    # In the place of MySQLdb, which needs a compiler.
    pymysql.install_as_MySQLdb()
