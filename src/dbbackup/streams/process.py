"""A program's output as a stream whose failure replaces the end of the file."""

from __future__ import annotations

import select
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import BinaryIO

from dbbackup.exceptions import ProgramError
from dbbackup.streams.base import CHUNK_SIZE, StreamReader, chunks
from dbbackup.streams.program import Feeder, Program, end_thread

_STDERR_SIZE = 64 * 1024
_STDERR_LINES = 3
_LINE_LENGTH = 400
# How often the end of a program is looked for that has closed its stdout but not its stderr.
_EXIT_POLL_MS = 20


class ProgramReader(StreamReader):
    """Run a program and read its stdout; its stdin takes the bytes of ``source``, or nothing.

    ``args`` is the program and its arguments, ``env`` its whole environment (None: this process's),
    ``pass_fds`` are descriptors it inherits. At the end of stdout the program's exit status decides. What
    is raised instead of the end is the first cause: the error of ``source`` (the program is then stopped
    before its stdin ends, so that it cannot take half an input for a whole one), else a ProgramError for an
    exit status other than 0 with the last lines of stderr, else one for input that was not taken. Each of
    ``secrets`` is replaced by ``***`` in these texts. Without ``whole_input`` the program may leave some of its
    input and still come to a good end. The first read begins to feed it. The constructor raises ProgramNotFound.

    The program leads a process group of its own, so that stopping it reaches a shell's children as well.
    """

    def __init__(
        self,
        args: Sequence[str],
        *,
        source: BinaryIO | None = None,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        secrets: Sequence[str] = (),
        whole_input: bool = True,
    ) -> None:
        self.program = PurePath(args[0]).name
        self._whole_input = whole_input
        self._secrets = [secret for secret in secrets if secret]
        self._stderr = bytearray()
        self._program = Program(args, with_input=source is not None, env=env, pass_fds=pass_fds)
        self._poll = select.poll()
        self._open = {self._program.stdout.fileno(), self._program.stderr.fileno()}
        for descriptor in self._open:
            self._poll.register(descriptor, select.POLLIN)
        self._feeder: Feeder | None = None
        super().__init__(source)

    @property
    def stderr_tail(self) -> str:
        """Return the last 64 KiB that the program has printed on stderr, without secrets."""
        tail = self._stderr.decode(errors="replace")
        for secret in self._secrets:
            tail = tail.replace(secret, "***")
        if len(self._stderr) == _STDERR_SIZE:
            # What was cut off may have been the beginning of a secret, of which the rest is not recognized.
            tail = tail[max(map(len, self._secrets), default=0) :]
        return tail

    def failure(self, returncode: int, stderr: str) -> Exception:
        """Return the error that says why the program failed; a subclass may know better.

        ``returncode`` is the exit status, negative for a signal, and 0 when the program ended well without
        having taken all its input. ``stderr`` is the tail, without secrets.
        """
        lines = [line.rstrip()[:_LINE_LENGTH] for line in stderr.splitlines() if line.strip()]
        quoted = "\n".join(lines[-_STDERR_LINES:])
        if returncode > 0:
            ending = f"exited with status {returncode}"
        elif returncode < 0:
            ending = f"was ended by signal {-returncode}"
        else:
            ending = "ended before it had taken all its input"
        message = f"{self.program} {ending}" + (f": {quoted}" if quoted else ".")
        return ProgramError(message, returncode=returncode, stderr=stderr)

    def cancel(self, *, force: bool = False) -> None:
        """End the program, and whatever feeds it; see StreamReader.cancel()."""
        self._program.signal(force=force)
        super().cancel(force=force)

    def _next_chunk(self) -> bytes:
        if self._feeder is None and self._source is not None:
            # Not before: an interrupt of the constructor would leave a thread that nobody can end.
            self._feeder = Feeder(self._program, self._source)
            self._feeder.start()
        stdout = self._program.stdout.fileno()
        while stdout in self._open:
            for descriptor, _ in self._poll.poll():
                if descriptor != stdout:
                    self._drain_stderr()
                elif chunk := self._program.stdout.read(CHUNK_SIZE):
                    return chunk
                else:
                    self._forget(stdout)
        self._settle()
        return b""

    def _settle(self) -> None:
        """Wait for the program's end and raise the first cause if it is not a good one."""
        stderr = self._program.stderr.fileno()
        while stderr in self._open and not self._program.has_ended():
            if self._poll.poll(_EXIT_POLL_MS):
                self._drain_stderr()
        returncode = self._program.wait()
        if stderr in self._open and self._poll.poll(0):
            self._drain_stderr()
        untaken = self._program.close_input() > 0
        if self._feeder is not None:
            if returncode:
                # Its error would be a consequence; one that came before is kept.
                self._feeder.abandon()
            self._feeder.join()
            if self._feeder.error is not None:
                raise self._feeder.error
            untaken = untaken or self._feeder.refused
        if returncode or (untaken and self._whole_input):
            raise self.failure(returncode, self.stderr_tail)

    def _drain_stderr(self) -> None:
        data = self._program.stderr.read(_STDERR_SIZE)
        if not data:
            self._forget(self._program.stderr.fileno())
        self._stderr += data
        del self._stderr[:-_STDERR_SIZE]

    def _forget(self, descriptor: int) -> None:
        self._open.discard(descriptor)
        self._poll.unregister(descriptor)

    def _release(self) -> None:
        # Nobody reads any more: a program that writes ends by that alone.
        self._program.stdout.close()
        self._program.stop()
        self._program.close_input()
        if self._feeder is not None:
            self._feeder.abandon()
            end_thread(self._feeder, self._source)
        self._program.close()
        super()._release()


def run_program(
    args: Sequence[str],
    *,
    source: BinaryIO | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    secrets: Sequence[str] = (),
) -> bytes:
    """Run a program to its end and return its stdout, of which the last MiB is kept.

    Arguments and errors are those of ProgramReader. ``source`` is closed.
    """
    tail = bytearray()
    reader = ProgramReader(args, source=source, env=env, pass_fds=pass_fds, secrets=secrets)
    with reader:
        for chunk in chunks(reader):
            tail += chunk
            del tail[:-CHUNK_SIZE]
    return bytes(tail)
