from __future__ import annotations

import json

import pytest

import dbbackup
from dbbackup.exceptions import BackupNotFound


def test_good_ones_are_good(shop):
    names = {shop.backup(), shop.backup("-z"), shop.backup("-z", "zstd")}
    found = dbbackup.verify()
    assert {result.backup.name for result in found} == names
    assert all(result.ok for result in found)


def test_bad_one_is_named_and_the_others_still_looked_at(shop):
    good, bad = shop.backup(), shop.backup()
    data = bytearray((shop.folder / bad).read_bytes())
    data[-1] ^= 1
    (shop.folder / bad).write_bytes(data)
    run = shop.run("verifybackups")
    assert run.status == 1
    assert bad in run.error
    assert good not in run.error
    assert f"good  {good}" in run.out


def test_one_by_its_name(shop):
    good, bad = shop.backup(), shop.backup()
    (shop.folder / f"{bad}.metadata").write_text("{}")
    assert shop.run("verifybackups", "-i", good).status == 0
    assert shop.run("verifybackups", "-i", bad).status == 1
    with pytest.raises(BackupNotFound):
        dbbackup.verify("nosuch")


def test_unverified_one_is_read_and_said_to_be_so(shop):
    name = shop.backup("-z")
    (shop.folder / f"{name}.metadata").unlink()
    (found,) = dbbackup.verify()
    assert found.ok
    assert "no manifest" in found.note
    (shop.folder / name).write_bytes((shop.folder / name).read_bytes()[:-5])
    assert not dbbackup.verify()[0].ok


def test_dump_that_could_not_be_restored_is_bad(shop):
    """The bytes are those that were written, but they are no sound database."""
    shop.settings.DBBACKUP_CONNECTORS = {"shop": {"CONNECTOR": "dbbackup.db.sqlite.SqliteCPConnector"}}
    shop.execute(*(f"CREATE TABLE t{number} (id)" for number in range(20)))
    with shop.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    name = shop.backup()
    (found,) = dbbackup.verify(name)
    assert not found.ok


def test_connector_that_is_not_here_is_said(shop, databases):
    name = shop.backup()
    path = shop.folder / f"{name}.metadata"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"database": "elsewhere"}))
    (found,) = dbbackup.verify(name, check_signatures=False)
    assert found.ok
    assert "no connector here" in found.note


def test_remote_storage(shop):
    shop.settings.STORAGES = {**shop.settings.STORAGES, "dbbackup": {"BACKEND": "tests.storages.RemoteStorage"}}
    name = shop.backup("-z")
    assert shop.run("verifybackups").status == 0
    from tests.storages import RemoteStorage

    RemoteStorage.left[name] = RemoteStorage.left[name][:-1] + b"x"
    assert shop.run("verifybackups").status == 1
    assert list(shop.tmp.iterdir()) == []


def test_nothing_there_is_no_failure(shop):
    run = shop.run("verifybackups")
    assert run.status == 0
    assert "no such backups" in run.err
