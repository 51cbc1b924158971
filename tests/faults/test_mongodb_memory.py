"""A large MongoDB database, and one with large documents: memory stays bounded, and nothing of the dump is on disk."""

from __future__ import annotations

import hashlib

import pytest

from tests.faults.mongodb import MIB, leftovers, mo
from tests.faults.test_mariadb_memory import peak
from tests.faults.test_memory import ABOVE_IDLE, Disk
from tests.process import MongodbProject
from tests.requirements import requires

__all__ = ["mo"]

pytestmark = [requires("mongodb"), pytest.mark.slow]

LOGIN = 64 * 1024
# The number of documents and their size: one of 16 MiB is the largest that there can be.
SHAPES = {"many": (128 * 16, MIB // 16), "large": (16, 15 * 1000 * 1000)}


@pytest.mark.parametrize("shape", SHAPES)
def test_memory_and_disk_stay_bounded(mo: MongodbProject, shape: str):
    number, size = SHAPES[shape]
    mo.configure('DBBACKUP_COMPRESSION = "zstd"')
    with mo.server.client() as client:
        for first in range(0, number, 16):
            client[mo.name]["big"].insert_many(
                {"_id": i, "content": hashlib.shake_128(str(i).encode()).digest(size // 64) * 64}
                for i in range(first, first + 16)
            )
    whole = mo.state()
    assert whole["big"]["documents"][0] == number
    idle = peak(mo, "check")
    disk = Disk(mo)
    disk.start()
    backup = peak(mo, "dbbackup", "-q")
    disk.done.set()
    disk.join()
    with mo.server.client() as client:
        client[mo.name]["big"].delete_one({"_id": 1})
    # With all but one there, for the safety dump.
    restore = peak(mo, "dbrestore", "--noinput", "-q")
    print(  # noqa: T201 - shown by pytest when the test fails
        f"idle {idle // MIB} MiB, backup {backup // MIB} MiB, restore {restore // MIB} MiB"
    )
    assert mo.state() == whole
    assert backup - idle <= ABOVE_IDLE
    assert restore - idle <= ABOVE_IDLE
    assert disk.most_named <= LOGIN
    assert leftovers(mo) == []
