"""What the stand-ins say, in the form of MongoDB's own tools: lines with the time on stderr."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

ALWAYS, INFO, DEBUG = range(3)


class FailureError(Exception):
    """Why a program ends with status 1, after the word "Failed"."""


class UsageError(Exception):
    """What is wrong with the command line or the configuration file."""


class Console:
    """Lines on stderr, as many as --quiet and -v ask for."""

    def __init__(self) -> None:
        self.verbosity = ALWAYS

    def say(self, text: str, level: int = ALWAYS) -> None:
        if level > self.verbosity:
            return
        now = time.time()
        zone = time.strftime("%z", time.localtime(now))
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03}{zone}"
        # Past Python's buffer, which a signal handler cannot enter while the program is in it.
        os.write(2, f"{stamp}\t{text}\n".encode())


class Signals:
    """Whether the program was told to end: the first signal asks it to, the second ends it."""

    _names = ((signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupt"))

    def __init__(self, console: Console) -> None:
        self.received = False
        self._console = console

    def listen(self) -> None:
        for number, _ in self._names:
            signal.signal(number, self._receive)

    @classmethod
    def default(cls) -> None:
        """Let a signal end the program at once, which is not what Python does about SIGINT."""
        for number, _ in cls._names:
            signal.signal(number, signal.SIG_DFL)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        name = dict(self._names)[signal.Signals(number)]
        if self.received:
            self._console.say(f"signal '{name}' received; forcefully terminating")
            os._exit(1)
        self.received = True
        self._console.say(f"signal '{name}' received; attempting to shut down")


def quoted(text: str) -> str:
    """Quote a name in backticks, or in quotation marks where those would not do."""
    return f"`{text}`" if text.isprintable() and "`" not in text else json.dumps(text, ensure_ascii=False)


def plural(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def end(status: int) -> NoReturn:
    """End the program with what it has to say, but without waiting for the driver's threads."""
    sys.stdout.flush()
    os._exit(status)
