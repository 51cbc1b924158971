"""A time by which a stream has to come to its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dbbackup.streams.base import StreamReader


@contextmanager
def deadline(reader: StreamReader, seconds: float) -> Iterator[None]:
    """Cancel ``reader`` after that many seconds; TimeoutError then takes the place of the error that comes of it."""
    late = threading.Event()

    def end() -> None:
        late.set()
        reader.cancel(force=True)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as exc:
        if late.is_set():
            raise TimeoutError(f"no end within {seconds:g} s") from exc
        raise
    finally:
        timer.cancel()
        timer.join()
