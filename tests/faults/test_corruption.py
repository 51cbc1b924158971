"""A stored backup cut and flipped in many places: every restore and every verification refuses it."""

from __future__ import annotations

import random

import pytest

import dbbackup
from dbbackup.exceptions import DBBackupError

CUTS, FLIPS = 50, 200
CONNECTORS = ["SqliteBackupConnector", "SqliteConnector", "SqliteCPConnector"]


def offsets(length: int, count: int) -> list[int]:
    """Return the first, the last and random places between, all of them where there are few."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown by pytest when the test fails
    chosen = random.Random(seed).sample(range(length), min(count, length))
    return [0, length - 1, *chosen[2:]]


def refuses(shop, name, live):
    with pytest.raises(DBBackupError):
        dbbackup.restore("shop", name=name)
    with pytest.raises(DBBackupError):
        dbbackup.restore("shop")
    assert [found.ok for found in dbbackup.verify()] == [False]
    assert shop.path.read_bytes() == live


@pytest.mark.parametrize("connector", CONNECTORS)
@pytest.mark.parametrize("codec", [None, "gzip", "zstd"])
@pytest.mark.parametrize("with_manifest", [True, False])
def test_cut(shop, connector, codec, with_manifest):
    shop.settings.DBBACKUP_CONNECTORS = {"shop": {"CONNECTOR": f"dbbackup.db.sqlite.{connector}"}}
    shop.settings.DBBACKUP_COMPRESSION = codec
    name = shop.backup()
    if not with_manifest:
        (shop.folder / f"{name}.metadata").unlink()
    data, live = (shop.folder / name).read_bytes(), shop.path.read_bytes()
    for place in offsets(len(data), CUTS):
        (shop.folder / name).write_bytes(data[:place])
        refuses(shop, name, live)


@pytest.mark.parametrize("connector", CONNECTORS)
@pytest.mark.parametrize("codec", [None, "gzip", "zstd"])
def test_flipped(shop, connector, codec):
    shop.settings.DBBACKUP_CONNECTORS = {"shop": {"CONNECTOR": f"dbbackup.db.sqlite.{connector}"}}
    shop.settings.DBBACKUP_COMPRESSION = codec
    name = shop.backup()
    data, live = (shop.folder / name).read_bytes(), shop.path.read_bytes()
    for place in offsets(len(data), FLIPS):
        altered = bytearray(data)
        altered[place] ^= 1 << (place % 8)
        (shop.folder / name).write_bytes(altered)
        refuses(shop, name, live)


def test_flipped_manifest(shop):
    name = shop.backup()
    path = shop.folder / f"{name}.metadata"
    data, live = path.read_bytes(), shop.path.read_bytes()
    for place in offsets(len(data), FLIPS):
        altered = bytearray(data)
        altered[place] ^= 1 << (place % 7)
        path.write_bytes(altered)
        refuses(shop, name, live)


@pytest.mark.parametrize("codec", [None, "gzip", "zstd"])
@pytest.mark.parametrize("garbage", [b"\n", b"\0", b"garbage", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"])
def test_garbage_appended(shop, codec, garbage):
    shop.settings.DBBACKUP_COMPRESSION = codec
    name = shop.backup()
    live = shop.path.read_bytes()
    with (shop.folder / name).open("ab") as file:
        file.write(garbage)
    refuses(shop, name, live)
