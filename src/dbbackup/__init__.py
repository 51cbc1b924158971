"""Back up and restore the databases of a Django project."""

from __future__ import annotations

from importlib.metadata import version

from dbbackup.backup import backup
from dbbackup.restore import restore
from dbbackup.verify import verify

__all__ = ["__version__", "backup", "restore", "verify"]

__version__ = version("dbbackup-django")
