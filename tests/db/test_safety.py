"""The safety dump whatever the engine: kept whole, found again, removed."""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.safety import SafetyDump, left_behind
from dbbackup.exceptions import DBBackupError
from dbbackup.streams import CHUNK_SIZE

KEY = ("some engine", "host:1", "it's a database")
FILE = "safety.archive.gz"
DUMP = os.urandom(CHUNK_SIZE) + bytes(3 * CHUNK_SIZE) + b"end"


@pytest.fixture
def safety(tmp_path: Path) -> Iterator[SafetyDump]:
    yield (safety := SafetyDump(KEY, tmp_path, FILE))
    safety.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("prelude", [b"", b"first this; "], ids=["alone", "after a prelude"])
def test_dump_is_kept_as_it_was_written(safety: SafetyDump, prelude: bytes):
    safety.write(io.BytesIO(DUMP), prelude)
    assert gzip.decompress(safety.path.read_bytes()) == prelude + DUMP
    with safety.open() as dump:
        assert dump.read() == DUMP
    assert stat.S_IMODE(safety.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(safety.folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in safety.folder.iterdir()) == [".lock", FILE]


def test_name_tells_of_which_database_it_is(tmp_path: Path):
    # Those of an older release are found by it.
    safety = SafetyDump(("localhost", "3306", "", "shop"), tmp_path, "safety.sql.gz")
    assert re.fullmatch(r"dbbackup-safety-1489f555849f-\w{8}", safety.folder.name)
    assert safety.path == safety.folder / "safety.sql.gz"
    safety.discard()


@pytest.mark.parametrize("how", ["cut", "changed"])
def test_dump_that_is_no_longer_what_was_written_is_not_read_to_its_end(safety: SafetyDump, how: str):
    safety.write(io.BytesIO(DUMP))
    packed = safety.path.read_bytes()
    safety.path.write_bytes(packed[:-1000] if how == "cut" else gzip.compress(DUMP[:-1] + b"x"))
    with safety.open() as dump, pytest.raises(DBBackupError):
        dump.read()


def test_dump_that_fails_has_not_the_name_of_a_whole_one(safety: SafetyDump):
    class Failing(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return super().read1(size) or self.fail()

        def fail(self) -> bytes:
            raise RestoreError("cut")

    with pytest.raises(RestoreError, match="cut"):
        safety.write(Failing(DUMP))
    assert not safety.path.exists()


def test_what_a_killed_restore_left_is_found(tmp_path: Path, safety: SafetyDump):
    safety.write(io.BytesIO(DUMP))
    assert left_behind(KEY, tmp_path, FILE) == []
    safety.release()
    assert left_behind(KEY, tmp_path, FILE) == [safety.path]
    assert left_behind((*KEY, ""), tmp_path, FILE) == []
    assert safety.path.exists()


def test_what_a_killed_restore_had_not_written_to_its_end_goes(tmp_path: Path):
    safety = SafetyDump(KEY, tmp_path, FILE)
    (safety.folder / "safety.archive.partial").touch()
    assert left_behind(KEY, tmp_path, FILE) == []
    assert safety.folder.is_dir()
    safety.release()
    assert left_behind(KEY, tmp_path, FILE) == []
    assert list(tmp_path.iterdir()) == []
