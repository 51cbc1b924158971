"""A large MariaDB database, and one with a large row: memory stays bounded, and nothing of the dump is on disk."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults.mariadb import my, own_my
from tests.faults.test_memory import ABOVE_IDLE, MIB, Disk
from tests.process import BaseProject, MariadbProject
from tests.requirements import requires

__all__ = ["my", "own_my"]

pytestmark = [requires("mariadb"), pytest.mark.slow]

SIZE = 256 * MIB
LOGIN = 64 * 1024
ROW = 100 * MIB

# Prints the peak resident memory of this process alone: the dump program has to hold a whole row.
MEASURE = """
import re, sys
from django.core.management import execute_from_command_line
execute_from_command_line(["django", *sys.argv[1:]])
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1]) * 1024)
"""


def peak(project: BaseProject, *args: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *args],
        env={**project.env, "COVERAGE_PROCESS_CONFIG": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


def stays_bounded(project: MariadbProject, change: str, digest: str) -> None:
    project.configure('DBBACKUP_COMPRESSION = "zstd"')
    whole = project.sql(digest)
    idle = peak(project, "check")
    disk = Disk(project)
    disk.start()
    backup = peak(project, "dbbackup", "-q")
    disk.done.set()
    disk.join()
    project.sql(change)
    restore = peak(project, "dbrestore", "--noinput", "-q")
    # With all of it there, for the safety dump.
    again = peak(project, "dbrestore", "--noinput", "-q")
    print(  # noqa: T201 - shown by pytest when the test fails
        f"idle {idle // MIB} MiB, backup {backup // MIB} MiB, restores {restore // MIB} and {again // MIB} MiB"
    )
    assert project.sql(digest) == whole
    assert backup - idle <= ABOVE_IDLE
    assert restore - idle <= ABOVE_IDLE
    assert again - idle <= ABOVE_IDLE
    assert disk.most_named <= LOGIN
    assert list(project.tmp.iterdir()) == []


def test_a_large_table(my: MariadbProject):
    rows = SIZE // 2000
    my.sql(
        f"CREATE TABLE big (id int PRIMARY KEY, content text); SET max_recursive_iterations = {rows + 1};"
        f" INSERT INTO big WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
        " SELECT i, CONCAT(MD5(i), MD5(-i), REPEAT(MD5(i % 1000), 60)) FROM n"
    )
    assert int(my.sql("SELECT SUM(LENGTH(content)) FROM big")) > 0.9 * SIZE
    stays_bounded(my, "DELETE FROM big WHERE id > 1000", "SELECT COUNT(*), SUM(CRC32(CONCAT(id, content))) FROM big")


@pytest.mark.parametrize("kind", ["longtext", "longblob"])
def test_a_large_row(own_my: MariadbProject, kind: str):
    own_my.server.restart("--max-allowed-packet=1G", "--innodb-log-file-size=1G")
    own_my.sql(f"CREATE TABLE big (id int PRIMARY KEY, content {kind})")
    own_my.sql(f"INSERT INTO big VALUES (1, REPEAT('0123456789abcdef', {ROW // 16})), (2, 'small')")
    stays_bounded(own_my, "DELETE FROM big WHERE id = 1", "SELECT id, LENGTH(content), MD5(content) FROM big")
