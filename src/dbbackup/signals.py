"""Signals around every operation, with the keyword arguments that django-dbbackup's receivers know.

``database`` is the settings of the database, ``database_name`` its alias.
"""

from __future__ import annotations

from django.dispatch import Signal

pre_backup = Signal()
"""Sent with database, connector, servername before a dump starts."""

post_backup = Signal()
"""Sent with database, connector, servername, filename, storage once a backup is complete."""

backup_failed = Signal()
"""Sent with database, database_name, servername, exception when a backup failed."""

pre_restore = Signal()
"""Sent with database, database_name, filename, servername, storage before a database is touched."""

post_restore = Signal()
"""Sent with database, database_name, filename, servername, storage, connector after a restore."""

restore_failed = Signal()
"""Sent with database, database_name, filename, servername, storage, exception when a restore failed."""
