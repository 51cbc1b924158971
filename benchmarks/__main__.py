"""Measure every contender in turn, several times over, and print the medians."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import django

from benchmarks import data, measure
from benchmarks.contenders import Contender, Places, contenders
from benchmarks.report import MIB, Result, table

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
OTHER_VENV = ROOT / ".venv-django-dbbackup"
OTHER = "django-dbbackup==5.4.0"
UNITS = {"k": 1 << 10, "m": MIB, "g": 1 << 30}


def main() -> None:
    """Parse the command line, measure, and leave a JSON file and a table in benchmarks/results."""
    args = _parse()
    theirs = None if args.without_other else _other_package()
    field = [c for c in contenders(sys.executable, theirs) if args.only in c.name]
    with tempfile.TemporaryDirectory(prefix="dbbackup-bench-", dir=args.directory) as folder:
        results, idle = _measure(field, Path(folder), args)
    facts = {
        "size": args.size,
        "repeats": args.repeats,
        "python": platform.python_version(),
        "django": django.__version__,
        "sqlite": sqlite3.sqlite_version,
        "cores": os.cpu_count(),
        "idle_memory": idle,
    }
    text = table(results)
    text += f"\n\nAn idle `manage.py check` takes {idle / MIB:.0f} MiB. {json.dumps(facts)}"
    RESULTS.mkdir(exist_ok=True)
    stem = RESULTS / f"{time.strftime('%Y-%m-%d-%H%M%S')}-{args.size}"
    content = {**facts, "results": [result.as_dict() for result in results]}
    stem.with_suffix(".json").write_text(json.dumps(content, indent=2))
    stem.with_suffix(".md").write_text(text + "\n")
    print(f"\n{text}\n\nWritten to {stem.relative_to(ROOT)}.json and .md")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
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
    python = OTHER_VENV / "bin" / "python"
    if not (OTHER_VENV / ".installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", OTHER_VENV], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, OTHER, f"Django=={django.__version__}"], check=True)
        (OTHER_VENV / ".installed").touch()
    return str(python)


def _measure(field: list[Contender], folder: Path, args: argparse.Namespace) -> tuple[list[Result], int]:
    source, dirty = folder / "source.sqlite3", folder / "dirty.sqlite3"
    data.make_database(source, int(args.size[:-1]) * UNITS[args.size[-1].lower()])
    data.make_dirty_database(dirty)
    expected = data.digest(source)
    results = [Result(contender) for contender in field]
    # Interleaved, so that whatever else slows the machine slows everyone.
    for number in range(args.repeats):
        for result in results:
            if result.problem:
                continue
            print(f"{number + 1}/{args.repeats}  {result.contender.name}", flush=True)
            _run_once(result, folder, expected, args.timeout)
    places = _places(folder)
    idle = measure.run(
        [sys.executable, "-m", "django", "check"],
        env=places.environment(dirty, "file"), temporary=places.temporary, timeout=args.timeout,
    )  # fmt: skip
    if idle.problem:
        raise SystemExit(f"manage.py check: {idle.problem}")
    return results, idle.peak_memory


def _run_once(result: Result, folder: Path, expected: str, timeout: float) -> None:
    contender, places = result.contender, _places(folder)
    shutil.copyfile(folder / "dirty.sqlite3", places.target)
    backup, restore = contender.commands(places)
    env = places.environment(places.source, contender.shape)
    done = measure.run(backup, env=env, temporary=places.temporary, timeout=timeout)
    result.backups.append(done)
    if done.problem:
        return
    result.stored = sum(path.stat().st_size for path in places.storage.iterdir())
    env = places.environment(places.target, contender.shape)
    done = measure.run(restore, env=env, temporary=places.temporary, timeout=timeout)
    if not done.problem and data.digest(places.target) != expected:
        done = measure.Measurement(done.seconds, done.peak_memory, done.peak_disk, "database differs")
    result.restores.append(done)


def _places(folder: Path) -> Places:
    """Return fresh, empty places for one run."""
    places = Places(
        source=folder / "source.sqlite3",
        target=folder / "target.sqlite3",
        storage=folder / "storage",
        temporary=folder / "temporary",
    )
    for path in folder.glob("target.sqlite3*"):
        path.unlink()
    for place in (places.storage, places.temporary):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
    return places


if __name__ == "__main__":
    main()
