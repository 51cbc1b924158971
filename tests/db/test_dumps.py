"""A dump on its way: what goes out is looked at, what ends it is said, and everything is given back once."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import BinaryIO

import pytest

from dbbackup.db.dumps import WatchedDump
from dbbackup.db.exceptions import ConnectorError, DumpError
from dbbackup.db.watching import Clock, Watcher
from dbbackup.exceptions import ProgramError
from dbbackup.streams import StreamReader


class Program(StreamReader):
    """Give chunks, of which one may be an error, or a function to call before the next."""

    def __init__(self, *steps: bytes | Exception | Callable[[], None]) -> None:
        self.steps = list(steps)
        super().__init__()

    def _next_chunk(self) -> bytes:
        while self.steps:
            step = self.steps.pop(0)
            if isinstance(step, Exception):
                raise step
            if isinstance(step, bytes):
                return step
            step()
        return b""


class Dump(WatchedDump):
    def __init__(self, program: Program, end: Exception | None = None) -> None:
        self.seen: list[bytes] = []
        self.events: list[str] = []
        self.clock = Clock()
        self.end = end
        self.watched = Watcher(program, self.clock, lambda quiet: None, lambda error: False)
        super().__init__(program, self._begin, release=lambda: self.events.append("released"))

    def _begin(self, program: BinaryIO, clock: Clock) -> Watcher:
        self.events.append("watched")
        self.clock = clock
        return self.watched

    def _passed(self, chunk: bytes) -> None:
        self.events.append("passed")
        self.seen.append(chunk)

    def _ended(self) -> None:
        self.events.append("ended")
        if self.end is not None:
            raise self.end


def watchers() -> int:
    return sum(thread.name == "dbbackup-watcher" for thread in threading.enumerate())


def test_everything_passes_and_is_given_back_once():
    program = Program(b"one", b"two")
    dump = Dump(program)
    with dump:
        assert dump.events == []
        assert dump.read() == b"onetwo"
        assert watchers() == 0
    dump.close()
    assert program.closed
    assert dump.events == ["watched", "passed", "passed", "ended", "released"]
    assert dump.seen == [b"one", b"two"]


def test_clock_runs_while_the_program_is_waited_for_alone():
    quiet: list[bool] = []
    dump = Dump(Program(b"one", lambda: quiet.append(running(dump.clock)), b"two"))
    with dump:
        assert dump.read(3) == b"one"
        assert not running(dump.clock)
        assert watchers() == 1
        assert dump.read() == b"two"
    assert quiet == [True]
    assert not running(dump.clock)


def running(clock: Clock) -> bool:
    return clock.quiet() > 0


def test_what_is_wrong_with_the_end_takes_its_place():
    with Dump(Program(b"one"), DumpError("it is not whole")) as dump:
        assert dump.read(3) == b"one"
        for _ in range(2):
            with pytest.raises(DumpError, match="it is not whole"):
                dump.read()
    assert dump.events == ["watched", "passed", "ended", "released"]
    assert watchers() == 0


def test_failure_of_the_program_is_no_end():
    with Dump(Program(b"one", ProgramError("it failed"))) as dump, pytest.raises(ProgramError, match="it failed"):
        dump.read()
    assert dump.events == ["watched", "passed", "released"]
    assert watchers() == 0


def test_what_the_watcher_found_goes_before_what_came_of_it():
    gone = ConnectorError("the server is gone")

    def find() -> None:
        dump.watched.error = gone

    failed = ProgramError("ended by signal 9")
    dump = Dump(Program(b"one", find, failed))
    with dump, pytest.raises(ConnectorError, match="the server is gone") as caught:
        dump.read()
    assert caught.value is gone
    assert caught.value.__cause__ is failed
    assert dump.events[-1] == "released"


def test_dump_that_nobody_reads_is_given_back_unwatched():
    program = Program(b"one")
    with Dump(program) as dump:
        pass
    assert program.closed
    assert dump.events == ["released"]
    assert watchers() == 0


def test_dump_that_is_closed_halfway_ends_its_watcher():
    program = Program(b"one", b"two")
    with Dump(program) as dump:
        assert dump.read(1) == b"o"
        assert watchers() == 1
    assert watchers() == 0
    assert dump.events == ["watched", "passed", "released"]


def test_program_that_cannot_be_closed_does_not_keep_the_rest():
    class Stuck(Program):
        def _release(self) -> None:
            raise OSError("stuck")

    dump = Dump(Stuck(b"one"))
    assert dump.read() == b"one"
    with pytest.raises(OSError, match="stuck"):
        dump.close()
    assert dump.events[-1] == "released"
    assert watchers() == 0


def test_release_may_be_left_out():
    with WatchedDump(io.BytesIO(b"one"), lambda program, clock: Dump(Program()).watched) as dump:
        assert dump.read() == b"one"
