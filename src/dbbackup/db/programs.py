"""What a program on this machine says of itself."""

from __future__ import annotations

from collections.abc import Sequence

from dbbackup.streams import ProgramReader, chunks, deadline

ANSWER_TIME = 10.0
"""Seconds that a program has to say what it is."""
_ANSWER_SIZE = 1024 * 1024


def answer(args: Sequence[str]) -> str:
    """Return what a program prints, of which the last argument is the question, as --version.

    Raise ProgramError if it fails, ValueError if it takes too long or says too much to be one of those wanted.
    """
    reader = ProgramReader(args)
    printed = bytearray()
    try:
        with reader, deadline(reader, ANSWER_TIME):
            for chunk in chunks(reader):
                printed += chunk
                if len(printed) > _ANSWER_SIZE:
                    raise ValueError(f"its {args[-1]} does not end.")
    except TimeoutError as exc:
        raise ValueError(f"its {args[-1]} took more than {ANSWER_TIME:g} s.") from exc
    return printed.decode(errors="replace")
