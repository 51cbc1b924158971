"""PostgreSQL and PostGIS: archives or SQL by pg_dump, restored by pg_restore or psql."""

from __future__ import annotations

from dbbackup.db.postgresql.connectors import PgDumpBinaryConnector, PgDumpConnector, PgDumpGisConnector

__all__ = ["PgDumpBinaryConnector", "PgDumpConnector", "PgDumpGisConnector"]
