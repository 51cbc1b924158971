"""Ctrl-C while a reader's thread is being started: it runs already, will run later, or never does."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dbbackup.streams import IteratorReader, ProgramReader, PushReader, copy
from dbbackup.streams.program import Feeder
from dbbackup.streams.push import _Producer

MIB = 1 << 20
LATE = 0.2


class Source(IteratorReader):
    """An endless source that knows whether it was read after its end."""

    def __init__(self) -> None:
        self.read_again = threading.Event()
        super().__init__(self._pieces_for_ever())

    def _pieces_for_ever(self) -> Iterator[bytes]:
        while True:
            yield b"x" * MIB

    def _fill(self) -> bool:
        if self.closed:
            self.read_again.set()
        return super()._fill()


def through_a_program(source: Source) -> ProgramReader:
    return ProgramReader(["cat"], source=source)


def through_a_producer(source: Source) -> PushReader:
    return PushReader(lambda writer: copy(source, writer.write), source)


@pytest.mark.parametrize("delay", [None, 0, LATE], ids=["never", "runs", "late"])
@pytest.mark.parametrize(("through", "kind"), [(through_a_program, Feeder), (through_a_producer, _Producer)])
def test_source_is_closed_and_nobody_reads_it(monkeypatch: pytest.MonkeyPatch, through, kind, delay: float | None):
    start, threads = kind.start, list[threading.Thread]()

    def interrupted(thread: threading.Thread) -> None:
        if delay == 0:
            start(thread)
            threads.append(thread)
        elif delay:
            threads.extend([threading.Timer(delay, start, [thread]), thread])
            threads[0].start()
        raise KeyboardInterrupt

    monkeypatch.setattr(kind, "start", interrupted)
    source = Source()
    with pytest.raises(KeyboardInterrupt), through(source) as reader:
        reader.read()
    assert source.closed
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert not source.read_again.is_set()
