"""Measure every contender in turn, once its memory and several times its speed, and print peaks and medians."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import django

from benchmarks import measure
from benchmarks.contenders import Contender, Places, contenders
from benchmarks.engines import Engine
from benchmarks.mariadb import mariadb
from benchmarks.postgresql import postgresql
from benchmarks.report import MIB, Result, table
from benchmarks.sqlite import sqlite

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
OTHER_VENV = ROOT / ".venv-django-dbbackup"
OTHER = [f"Django=={django.__version__}", "django-dbbackup==5.4.0", "psycopg[binary]", "PyMySQL"]
ENGINES: Mapping[str, Callable[[Path], AbstractContextManager[Engine]]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
    "mariadb": mariadb,
}
UNITS = {"k": 1 << 10, "m": MIB, "g": 1 << 30}


def main() -> None:
    """Parse the command line, measure, and leave a JSON file and a table in benchmarks/results."""
    args = _parse()
    theirs = None if args.without_other else _other_package()
    with (
        tempfile.TemporaryDirectory(prefix="dbbackup-bench-", dir=args.directory) as folder,
        ENGINES[args.engine](Path(folder)) as engine,
    ):
        field = [c for c in contenders(engine, sys.executable, theirs) if args.only in c.name]
        if not field:
            raise SystemExit(f"Nothing that is measured has {args.only!r} in its name.")
        results, idle = _measure(field, engine, Path(folder), args)
        version = engine.version
    facts = {
        "engine": version,
        "size": args.size,
        "repeats": args.repeats,
        "python": platform.python_version(),
        "django": django.__version__,
        "cores": os.cpu_count(),
        "idle_memory": idle.peak_memory,
        "idle_seconds": idle.seconds,
    }
    text = table(results)
    text += f"\n\nAn idle `manage.py check` takes {idle.seconds:.2f} s and {(idle.peak_memory or 0) / MIB:.0f} MiB. "
    text += json.dumps(facts)
    RESULTS.mkdir(exist_ok=True)
    stem = RESULTS / f"{time.strftime('%Y-%m-%d-%H%M%S')}-{args.engine}-{args.size}"
    content = {**facts, "results": [result.as_dict() for result in results]}
    stem.with_suffix(".json").write_text(json.dumps(content, indent=2))
    stem.with_suffix(".md").write_text(text + "\n")
    print(f"\n{text}\n\nWritten to {stem.relative_to(ROOT)}.json and .md")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, default="sqlite", help="of the database (default: sqlite)")
    parser.add_argument("--size", default="100m", help="of the database: 100m, 1g (default: 100m)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (at least 3)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds after which a run counts as failed")
    parser.add_argument("--only", default="", metavar="TEXT", help="only what has this in its name")
    parser.add_argument("--without-other", action="store_true", help="leave django-dbbackup out")
    parser.add_argument("--directory", type=Path, help="where to work (default: TMPDIR)")
    args = parser.parse_args()
    if args.repeats < 3:
        parser.error("a median needs at least 3 repeats")
    if args.size[-1:].lower() not in UNITS or not args.size[:-1].isdecimal():
        parser.error(f"{args.size!r} is no size; write 100m or 1g")
    return args


def _other_package() -> str:
    """Return an interpreter with django-dbbackup, in an environment of its own."""
    python, installed = OTHER_VENV / "bin" / "python", OTHER_VENV / ".installed"
    if not installed.exists() or installed.read_text().split() != OTHER:
        subprocess.run([sys.executable, "-m", "venv", "--clear", OTHER_VENV], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *OTHER], check=True)
        installed.write_text("\n".join(OTHER))
    return str(python)


def _measure(
    field: list[Contender], engine: Engine, folder: Path, args: argparse.Namespace
) -> tuple[list[Result], measure.Measurement]:
    engine.fill(int(args.size[:-1]) * UNITS[args.size[-1].lower()])
    expected = engine.digest("source")
    key = import_module("pyrage").x25519.Identity.generate()
    (folder / "identity").write_text(f"{key}\n")
    places = Places(folder / "storage", folder / "temporary", folder / "identity", str(key.to_public()))
    results = [Result(contender) for contender in field]
    # Interleaved, so that whatever else slows the machine slows everyone.
    for number in range(args.repeats + 1):
        for result in results:
            if result.problem:
                continue
            what = f"{number}/{args.repeats}" if number else "memory"
            print(f"{what}  {result.contender.name}", flush=True)
            _run_once(result, engine, places, expected, args.timeout, watch=not number)
    _empty(places)
    idle = measure.run(
        [sys.executable, "-m", "django", "check"], temporary=places.temporary, timeout=args.timeout, watch=True,
        env=field[0].environment(engine, "source", places),
    )  # fmt: skip
    if idle.problem:
        raise SystemExit(f"manage.py check: {idle.problem}")
    return results, idle


def _run_once(result: Result, engine: Engine, places: Places, expected: str, timeout: float, *, watch: bool) -> None:
    _empty(places)
    engine.reset()
    contender = result.contender
    backup, restore = contender.commands(engine, places)
    env = contender.environment(engine, "source", places)
    done = measure.run(backup, env=env, temporary=places.temporary, timeout=timeout, watch=watch)
    result.backups.append(done)
    if done.problem:
        return
    result.stored = sum(path.stat().st_size for path in places.storage.iterdir())
    env = contender.environment(engine, "target", places)
    done = measure.run(restore, env=env, temporary=places.temporary, timeout=timeout, watch=watch)
    if not done.problem and engine.digest("target") != expected:
        done = replace(done, problem="database differs")
    result.restores.append(done)


def _empty(places: Places) -> None:
    for place in (places.storage, places.temporary):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()


if __name__ == "__main__":
    main()
