"""The two connectors that every PostgreSQL database can take, for tests that hold for both."""

from __future__ import annotations

import pytest

from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector

both_formats = pytest.mark.parametrize("cls", [PgDumpBinaryConnector, PgDumpConnector], ids=["archive", "plain"])
