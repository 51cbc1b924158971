"""MySQL and MariaDB."""

from __future__ import annotations

from dbbackup.db.mysql.connector import MysqlDumpConnector

__all__ = ["MysqlDumpConnector"]
