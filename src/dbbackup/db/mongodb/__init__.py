"""MongoDB, by mongodump and mongorestore."""

from __future__ import annotations

from dbbackup.exceptions import ConfigurationError

try:
    from dbbackup.db.mongodb.connector import MongoDumpConnector
except ModuleNotFoundError as exc:
    if (exc.name or "").startswith("dbbackup"):
        raise
    raise ConfigurationError(
        f'The connector for MongoDB needs more packages ({exc.name}): pip install "dbbackup-django[mongodb]"'
    ) from exc

__all__ = ["MongoDumpConnector"]
