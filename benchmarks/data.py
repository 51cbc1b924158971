"""The rows that are backed up: like those of a shop, as compressible as real ones."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from typing import Any

VOCABULARY = """account address amount blue box city client colour count courier customer date delivery
 discount door express fragile garden gift glass green heavy house invoice item label large letter
 light london market monday morning name night number order packet paid paper paris payment phone
 please price quick receipt red return ring road shelf shop small station stock street sunday table
 tax thank today tomorrow town train value vienna warehouse weight white window wood zürich"""
WORDS = VOCABULARY.split()
DIRTY_ROWS = 100
"""Rows of the database that a restore goes into."""
BATCH = 10_000


def rows(seed: int) -> Iterator[tuple[Any, ...]]:
    """Yield rows without end: number, key, date, customer, total, weight, paid, details, note."""
    rng = random.Random(seed)
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
