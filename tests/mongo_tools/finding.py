"""Which mongodump and mongorestore the tests run: the machine's, or else the stand-ins beside this file."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VARIABLE = "DBBACKUP_TEST_MONGO_TOOLS"
NAMES = ("mongodump", "mongorestore")

_ROOT = Path(__file__).parents[2]
_LAUNCHER = """\
import sys

sys.path[:1] = {path!r}
from importlib import import_module
from tests.mongo_tools.console import end

end(import_module("tests.mongo_tools." + sys.argv[1]).main(sys.argv[2:]))
"""


def real_tools() -> dict[str, Path]:
    """Return the machine's programs by their names, or nothing where one of them is missing."""
    if folder := os.environ.get(VARIABLE):
        found = {name: Path(folder, name).resolve() for name in NAMES}
        if missing := [name for name, path in found.items() if not os.access(path, os.X_OK)]:
            raise pytest.UsageError(f"{VARIABLE}={folder}: there is no program {missing[0]}")
        return found
    on_path = {name: shutil.which(name) for name in NAMES}
    return {name: Path(path).resolve() for name, path in on_path.items() if path} if all(on_path.values()) else {}


def header() -> str:
    """Return the line of pytest's report that says which programs the tests run."""
    found = real_tools()
    if not found:
        return "MongoDB tools: stand-ins"
    program = found["mongodump"]
    output = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    version = output.partition("\n")[0].removeprefix("mongodump version: ") or "version unknown"
    return f"MongoDB tools: real, {version} ({program.parent})"


def provide(folder: Path) -> Path:
    """Put both programs into a folder, which is to be the first on PATH, and return it."""
    found = real_tools()
    for name in NAMES:
        if found:
            (folder / name).symlink_to(found[name])
        else:
            _write_stand_in(folder / name)
    return folder


def _write_stand_in(program: Path) -> None:
    launcher = program.with_name("stand-in.py")
    launcher.write_text(_LAUNCHER.format(path=[str(_ROOT), *_packages()]))
    # A shell, because a first line has room neither for spaces nor for long paths. Without what the environment says
    # of Python, and without the site packages' own start-up code, which takes longer than a dump.
    words = [sys.executable, "-SE", str(launcher), program.name]
    program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    program.chmod(0o755)


def _packages() -> list[str]:
    """Return the folders that hold what the stand-ins import."""
    specs = [importlib.util.find_spec(name) for name in ("pymongo", "bson", "fastcrc", "dns")]
    folders = (Path(spec.origin).parents[1] for spec in specs if spec is not None and spec.origin is not None)
    return list(dict.fromkeys(map(str, folders)))
