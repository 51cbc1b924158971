"""A database of 1 GiB: memory stays bounded whatever its size, and the only temporary copy is the snapshot."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from tests.process import BaseProject, Project

MIB = 1 << 20
SIZE = 1024 * MIB
ABOVE_IDLE = 64 * MIB

# Prints the peak resident memory of the command that it runs, in bytes.
MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(code)
"""


class Disk(threading.Thread):
    """Watches how much lies in a folder, counting what has lost its name while it is open too."""

    def __init__(self, project: BaseProject) -> None:
        super().__init__(daemon=True)
        self.project = project
        self.before = shutil.disk_usage(project.tmp).free
        self.most_named = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.02):
            # What goes away while it is looked at is looked at again at once.
            with suppress(FileNotFoundError):
                named = sum(path.stat().st_size for path in self.project.tmp.rglob("*") if path.is_file())
                self.most_named = max(self.most_named, named)


def peak(project: BaseProject, *args: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *project.command(*args)],
        env={**project.env, "COVERAGE_PROCESS_CONFIG": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("connector", ["SqliteBackupConnector", "SqliteConnector"])
def test_one_gibibyte(project: Project, connector: str):
    project.configure(
        'DBBACKUP_COMPRESSION = "zstd"',
        f'DBBACKUP_CONNECTORS = {{"default": {{"CONNECTOR": "dbbackup.db.sqlite.{connector}"}}}}',
    )
    project.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
        " INSERT INTO thing (name) SELECT hex(randomblob(500)) || printf('%.*c', 1048000, 'x') FROM n"
    )
    assert project.path.stat().st_size > 0.9 * SIZE
    idle = peak(project, "check")
    disk = Disk(project)
    disk.start()
    backup = peak(project, "dbbackup", "-q")
    restore = peak(project, "dbrestore", "--noinput", "-q")
    disk.done.set()
    disk.join()
    print(f"idle {idle // MIB} MiB, backup {backup // MIB} MiB, restore {restore // MIB} MiB")  # noqa: T201 - shown by pytest when the test fails
    assert backup - idle <= ABOVE_IDLE
    assert restore - idle <= ABOVE_IDLE
    assert disk.most_named <= 1.05 * project.path.stat().st_size
    assert list(project.tmp.iterdir()) == []
