"""A filter that lets some bytes pass, says so, and waits: what happens then happens halfway."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.process import BaseProject

TIMEOUT = 60
PROGRAM = """
import os, shutil, sys, time
folder, size = sys.argv[1], int(sys.argv[2])
sys.stdout.buffer.write(sys.stdin.buffer.read(size))
sys.stdout.flush()
open(os.path.join(folder, "reached"), "w").close()
while not os.path.exists(os.path.join(folder, "open")):
    if not os.path.exists(os.path.join(folder, "reached")):
        break
    time.sleep(0.01)
shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)
"""


class Gate:
    """The filter; a command runs up to it between ``run`` and ``open``."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        folder.mkdir()
        self.filter = shlex.join([sys.executable, "-c", PROGRAM, str(folder), str(size)])
        self._process: subprocess.Popen[str] | None = None

    def run(self, project: BaseProject, *args: str) -> Self:
        """Start a command and return once it has come halfway."""
        self._process = process = subprocess.Popen(
            project.command(*args), env=project.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._wait(process)
        return self

    def again(self) -> None:
        """Let the rest pass, and return once the next run of the filter has come halfway."""
        assert self._process is not None
        (self.folder / "reached").unlink()
        self._wait(self._process)

    def open(self) -> subprocess.CompletedProcess[str]:
        """Let the rest pass and return how the command ended."""
        assert self._process is not None
        (self.folder / "open").touch()
        out, err = self._process.communicate(timeout=TIMEOUT)
        return subprocess.CompletedProcess(self._process.args, self._process.returncode, out, err)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (self.folder / "open").touch()
        if self._process is not None:
            with self._process:
                self._process.kill()

    def _wait(self, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not (self.folder / "reached").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
