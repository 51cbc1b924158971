"""A project as small as it can be with backups: the lines that DBBackup needs are marked."""

from __future__ import annotations

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = "an example: signs the manifests of the backups, so a real one must stay secret"
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "dbbackup",  # for DBBackup
    "atlas",
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "atlas.sqlite3",
        "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL;"},
    },
}

MEDIA_ROOT = BASE_DIR / "media"

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # For DBBackup: any Django storage, outside the media and static folders.
    # The files are readable by their owner only.
    "dbbackup": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": BASE_DIR / "backups",
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
}

# For DBBackup, and optional: how many backups `dbbackup --clean` keeps.
DBBACKUP_CLEANUP_KEEP = 5
