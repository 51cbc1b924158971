"""A PostgreSQL database of 1 GiB: memory stays bounded whatever its size, and nothing of the dump is on disk."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.faults.test_memory import ABOVE_IDLE, MIB, SIZE, Disk, peak
from tests.process import PostgresqlProject
from tests.requirements import requires

pytestmark = [requires("postgresql", "python:pyrage"), pytest.mark.slow]

PASSFILE = 64 * 1024

CONTENT = f"""
CREATE TABLE big (id int, content text);
INSERT INTO big SELECT i, md5(i::text) || md5((-i)::text) || repeat(md5((i % 1000)::text), 28)
FROM generate_series(1, {SIZE // 1000}) AS i;
"""
DIGEST = "SELECT count(*), sum(hashtextextended(big::text, 0)) FROM big"


@pytest.mark.parametrize("connector", ["PgDumpBinaryConnector", "PgDumpConnector"])
def test_one_gibibyte(pg: PostgresqlProject, connector: str):
    key = import_module("pyrage").x25519.Identity.generate()
    (pg.root / "key").write_text(f"{key}\n")
    pg.use(connector)
    pg.configure(
        'DBBACKUP_COMPRESSION = "zstd"',
        'DBBACKUP_ENCRYPTION = "age"',
        f'DBBACKUP_AGE_RECIPIENTS = ["{key.to_public()}"]',
        'DBBACKUP_AGE_IDENTITY_FILE = ROOT / "key"',
    )
    pg.psql(CONTENT)
    whole = pg.psql(DIGEST)
    assert int(pg.psql("SELECT pg_table_size('big')")) > 0.9 * SIZE
    idle = peak(pg, "check")
    disk = Disk(pg)
    disk.start()
    backup = peak(pg, "dbbackup", "-q")
    pg.psql("TRUNCATE big")
    restore = peak(pg, "dbrestore", "--noinput", "-q")
    disk.done.set()
    disk.join()
    print(f"idle {idle // MIB} MiB, backup {backup // MIB} MiB, restore {restore // MIB} MiB")  # noqa: T201 - shown by pytest when the test fails
    assert pg.psql(DIGEST) == whole
    assert backup - idle <= ABOVE_IDLE
    assert restore - idle <= ABOVE_IDLE
    assert disk.most_named <= PASSFILE
    assert list(pg.tmp.iterdir()) == []
