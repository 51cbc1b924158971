"""Run a command and watch the processes it consists of, through /proc."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

INTERVAL = 0.02
"""Seconds between two looks; a peak that is shorter goes unseen."""

PAGE = os.sysconf("SC_PAGE_SIZE")
BLOCK = 512
"""Unit of st_blocks, as stat(2) defines it."""


@dataclass(frozen=True)
class Measurement:
    """What one run took."""

    seconds: float
    cpu: float
    """Seconds of processor that the process and its descendants took, those of a server not among them."""
    peak_memory: int | None
    """Resident bytes of the process and all its descendants, taken together; None if nobody watched."""
    peak_disk: int | None
    """Bytes of temporary files, those without a name among them; None if nobody watched."""
    problem: str = ""
    """Why the run does not count."""


def run(args: Sequence[str], *, env: Mapping[str, str], temporary: Path, timeout: float, watch: bool) -> Measurement:
    """Run a command to its end and return what it took; ``temporary`` is its TMPDIR.

    To ``watch`` takes time from what is measured: memory and disk are one run's, seconds another's.
    """
    log = temporary.with_suffix(".log")
    with log.open("wb") as output:
        began, worked = time.perf_counter(), _cpu()
        with subprocess.Popen(
            args, env={**os.environ, **env, "TMPDIR": str(temporary)}, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        ) as process:  # fmt: skip
            watcher = _Watcher(process.pid, temporary) if watch else None
            try:
                status = process.wait(timeout)
                problem = f"exit status {status}" if status else ""
            except subprocess.TimeoutExpired:
                # The whole group: a shell's children would go on without it.
                os.killpg(process.pid, signal.SIGKILL)
                problem = f"more than {timeout:g} s"
            finally:
                if watcher:
                    watcher.stop()
        seconds, cpu = time.perf_counter() - began, _cpu() - worked
    if problem:
        lines = log.read_text(errors="replace").splitlines()
        problem += f": {lines[-1]}" if lines else ""
    memory, disk = (watcher.memory, watcher.disk) if watcher else (None, None)
    return Measurement(seconds, cpu, memory, disk, problem)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Watcher:
    def __init__(self, pid: int, temporary: Path) -> None:
        self.memory = self.disk = 0
        self._pid = pid
        self._temporary = temporary
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(INTERVAL):
            pids = _descendants(self._pid)
            self.memory = max(self.memory, sum(map(_resident, pids)))
            files = dict(_named_files(self._temporary))
            for pid in pids:
                files.update(_open_files(pid, self._temporary))
            self.disk = max(self.disk, sum(files.values()))


def _descendants(root: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                # The name of a process may hold spaces and brackets; the fields follow the last one.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
    found = {root}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return found
        found |= more


def _resident(pid: int) -> int:
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return 0


def _named_files(folder: Path) -> dict[int, int]:
    sizes = {}
    for path in folder.rglob("*"):
        with suppress(OSError):
            found = path.lstat()
            if stat.S_ISREG(found.st_mode):
                sizes[found.st_ino] = found.st_blocks * BLOCK
    return sizes


def _open_files(pid: int, folder: Path) -> dict[int, int]:
    """Return the open files of a process that lie, or lay, in a folder."""
    sizes = {}
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if link.readlink().is_relative_to(folder):
                    found = link.stat()
                    sizes[found.st_ino] = found.st_blocks * BLOCK
    return sizes
