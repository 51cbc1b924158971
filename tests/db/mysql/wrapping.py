"""Programs of the tests' own around the real ones: they note something and hand over."""

from __future__ import annotations

import shlex
from pathlib import Path


def wrapped(path: Path, program: Path, *lines: str) -> str:
    """Write a script that runs lines of shell, then the program in its place; return its path as a setting.

    The lines do not run when it is asked for its version and its options, or for what option files say.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    work = "\n".join(lines) or ":"
    asked = '[ "$1" = --no-defaults ] || [ "$1" = --print-defaults ]'
    path.write_text(f'#!/bin/bash\nif ! {{ {asked}; }}; then\n{work}\nfi\nexec {shlex.quote(str(program))} "$@"\n')
    path.chmod(0o755)
    return str(path)


def noting(file: Path, *commands: str) -> str:
    """Return a line of shell that appends what commands print to a file, each in a line."""
    return f"{{ {'; '.join(commands)}; }} >> {shlex.quote(str(file))}"
