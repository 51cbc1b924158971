from __future__ import annotations

import threading

import pytest

from dbbackup.exceptions import ProgramError
from dbbackup.streams import ProgramReader, deadline


def test_a_program_that_hangs_is_ended():
    with ProgramReader(["sh", "-c", "echo begun; sleep 600"]) as reader:
        with pytest.raises(TimeoutError, match=r"no end within 0\.2 s") as caught, deadline(reader, 0.2):
            reader.read()
        assert isinstance(caught.value.__cause__, ProgramError)


def test_one_that_ends_in_time_is_left_alone():
    with ProgramReader(["echo", "done"]) as reader, deadline(reader, 600):
        assert reader.read() == b"done\n"
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_an_error_in_time_stays_as_it_is():
    with ProgramReader(["false"]) as reader, pytest.raises(ProgramError), deadline(reader, 600):
        reader.read()
