"""A running program with its pipes, and the thread that feeds it."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import FileIO
from typing import BinaryIO, cast

from dbbackup.exceptions import ProgramError, ProgramNotFound
from dbbackup.streams.base import CHUNK_SIZE, cancel, chunks

GRACE = 5.0
"""Seconds that a program has after SIGTERM to end by itself."""

_LONGEST_NAP = 0.05


class Program:
    """A program in a session and process group of its own, with pipes of 1 MiB where the system has them.

    Constructing raises ProgramNotFound when the program cannot be started. signal(), stop() and
    has_ended() may be called from any thread.
    """

    def __init__(
        self,
        args: Sequence[str],
        *,
        with_input: bool,
        env: Mapping[str, str] | None,
        pass_fds: Sequence[int],
    ) -> None:
        self._name = args[0]
        self._lock = threading.Lock()
        # This end is kept open here too: what is left in the pipe when the program has ended was not taken.
        self._unread: FileIO | None = None
        self.stdin: FileIO | None = None
        if with_input:
            self._unread, self.stdin = _pipe()
        try:
            self._process = subprocess.Popen(
                args,
                stdin=self._unread or subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=env,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        except OSError as exc:
            self._close_pipes()
            raise ProgramNotFound(_cannot_run(self._name, exc)) from exc
        self.stdout = cast(FileIO, self._process.stdout)
        self.stderr = cast(FileIO, self._process.stderr)
        _widen(self.stdout)

    def signal(self, *, force: bool = False) -> None:
        """Send SIGTERM, or SIGKILL, to the program and its children."""
        number = signal.SIGKILL if force else signal.SIGTERM
        with self._lock:
            # As long as the program is not reaped, its number cannot have become another group's.
            # A program under sudo cannot be signalled; the end of its pipes has to do.
            if self._process.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, number)

    def stop(self) -> None:
        """End the program: SIGTERM, and SIGKILL for what is left of its group after GRACE seconds."""
        self.signal()
        nap = 0.001
        deadline = time.monotonic() + GRACE
        while not self.has_ended() and time.monotonic() < deadline:
            time.sleep(nap)
            nap = min(2 * nap, _LONGEST_NAP)
        self.signal(force=True)

    def has_ended(self) -> bool:
        """Return whether the program has ended, without waiting."""
        return self._look(os.WNOHANG)

    def wait(self) -> int:
        """Wait for the end and return the exit status, negative for a signal.

        Raise ProgramError when somebody else has taken the status: then nobody knows whether it was a good end.
        """
        self._look(0)
        with self._lock:
            if self._process.returncode is None and not self._is_ours():
                self._process.wait()
                raise ProgramError(
                    f"The exit status of {self._name} is lost: this process ignores SIGCHLD, "
                    "or something else in it waits for all children."
                )
            return self._process.wait()

    def close_input(self) -> int:
        """Return how many bytes the ended program left in its input, and let a waiting feeder go."""
        if self._unread is None or self._unread.closed:
            return 0
        answer = fcntl.ioctl(self._unread, termios.FIONREAD, bytes(4))
        self._unread.close()
        left: int = struct.unpack("i", answer)[0]
        return left

    def close(self) -> None:
        """Close every pipe and reap the program, which has ended or been stopped."""
        self._close_pipes()
        self.stdout.close()
        self.stderr.close()
        with suppress(ProgramError):
            self.wait()

    def _look(self, flag: int) -> bool:
        # WNOWAIT leaves the program unreaped, so that signal() in another thread stays safe.
        if self._process.returncode is not None:
            return True
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | flag) is not None
        except ChildProcessError:
            return True

    def _is_ours(self) -> bool:
        try:
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            return False
        return True

    def _close_pipes(self) -> None:
        for pipe in (self._unread, self.stdin):
            if pipe is not None:
                pipe.close()


class Feeder(threading.Thread):
    """Writes all of ``source`` into a program's stdin, beside the thread that reads its stdout.

    ``error`` is what the source raised, ``refused`` whether the program ended before it was given everything.
    """

    def __init__(self, program: Program, source: BinaryIO) -> None:
        super().__init__(name="dbbackup-feeder", daemon=True)
        self._program = program
        self._stdin = cast(FileIO, program.stdin)
        self._source = source
        self._abandoned = False
        self.error: BaseException | None = None
        self.refused = False

    def run(self) -> None:
        """Feed to the end; on an error of the source, stop the program before its stdin ends."""
        try:
            # Abandoned before it began, it leaves the source alone.
            for chunk in () if self._abandoned else chunks(self._source):
                if not self._write(chunk):
                    break
        except BaseException as exc:  # noqa: BLE001 -- raised again in the thread that reads
            if not self._abandoned:
                self.error = exc
            self._program.stop()
        finally:
            self._stdin.close()

    def abandon(self) -> None:
        """Let the source go: what it raises from now on is not a cause."""
        self._abandoned = True
        cancel(self._source)

    def _write(self, chunk: bytes) -> bool:
        rest = memoryview(chunk)
        while rest:
            try:
                rest = rest[self._stdin.write(rest) :]
            except BrokenPipeError:
                self.refused = True
                return False
        return True


def end_thread(thread: threading.Thread, source: BinaryIO | None) -> None:
    """Wait for a thread that has been told to end; after GRACE seconds what it reads from has no choice."""
    # An interrupted start() may have left it without a beginning. If that comes yet, it finds that it is not wanted.
    with suppress(RuntimeError):
        thread.join(GRACE)
    if thread.is_alive():
        cancel(source, force=True)
        thread.join()


def _pipe() -> tuple[FileIO, FileIO]:
    reading, writing = os.pipe()
    pipe = FileIO(reading, "rb"), FileIO(writing, "wb")
    _widen(pipe[1])
    return pipe


def _widen(pipe: FileIO) -> None:
    # Sixteen times the default: a chain of three programs takes a third less time. Linux alone can do it, within
    # a limit per user.
    size = getattr(fcntl, "F_SETPIPE_SZ", None)
    if size is not None:
        with suppress(OSError):
            fcntl.fcntl(pipe, size, CHUNK_SIZE)


def _cannot_run(name: str, exc: OSError) -> str:
    if isinstance(exc, FileNotFoundError):
        return f"The program {name!r} was not found. Install it, or give its full path."
    return f"The program {name!r} cannot be run: {exc.strerror or exc}."
