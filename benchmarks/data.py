"""The database that is backed up: rows like those of a shop, as compressible as real ones."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

VOCABULARY = """account address amount blue box city client colour count courier customer date delivery
 discount door express fragile garden gift glass green heavy house invoice item label large letter
 light london market monday morning name night number order packet paid paper paris payment phone
 please price quick receipt red return ring road shelf shop small station stock street sunday table
 tax thank today tomorrow town train value vienna warehouse weight white window wood zürich"""
WORDS = VOCABULARY.split()
SCHEMA = """
CREATE TABLE shop_order (
    id integer PRIMARY KEY AUTOINCREMENT, number char(32) NOT NULL UNIQUE, placed datetime NOT NULL,
    customer varchar(60) NOT NULL, total decimal NOT NULL, weight real, paid bool NOT NULL,
    details text NOT NULL, note text NOT NULL);
CREATE INDEX shop_order_placed ON shop_order (placed);
CREATE INDEX shop_order_customer ON shop_order (customer);
"""
INSERT = "INSERT INTO shop_order VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
DIRTY_ROWS = 100
BATCH = 10_000


def make_database(path: Path, size: int) -> None:
    """Write a database of about ``size`` bytes; the same size always gives the same rows."""
    rows = _rows(random.Random(size))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        connection.executescript(SCHEMA)
        while path.stat().st_size < size:
            connection.executemany(INSERT, (next(rows) for _ in range(BATCH)))
            connection.commit()


def make_dirty_database(path: Path) -> None:
    """Write the database that a restore goes into: the same schema, and a few other rows."""
    rows = _rows(random.Random(0))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA)
        connection.executemany(INSERT, (next(rows) for _ in range(DIRTY_ROWS)))


def digest(path: Path) -> str:
    """Return a hash of everything in a database, schema included."""
    done = subprocess.run(
        ["sqlite3", "-readonly", path, ".sha3sum --schema"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or done.stderr.strip()


def _rows(rng: random.Random) -> Iterator[tuple[Any, ...]]:
    number = 0
    while True:
        number += 1
        details = {"items": rng.sample(WORDS, 3), "quantity": rng.randrange(20), "tax": 7.7}
        yield (
            number,
            uuid.UUID(int=rng.getrandbits(128)).hex,
            f"20{rng.randrange(10, 27)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02} 12:30:05",
            " ".join(rng.choices(WORDS, k=2)).title(),
            f"{rng.randrange(10**6) / 100:.2f}",
            rng.random() * 30,
            rng.random() < 0.9,
            json.dumps(details),
            " ".join(rng.choices(WORDS, k=rng.randrange(5, 40))),
        )
