from __future__ import annotations

import json
import shutil
from collections import Counter
from typing import ClassVar

import pytest

from dbbackup.catalog.catalog import Catalog, Filter
from tests.storages import RemoteStorage


def names(shop, *args):
    return [line["name"] for line in shop.run("listbackups", "--json", *args).lines]


def test_newest_first_with_what_is_known(shop):
    first = shop.backup()
    second = shop.backup("-z", "zstd", "-s", "staging")
    assert names(shop) == [second, first]
    line = shop.run("listbackups", "--json").lines[0]
    assert (line["status"], line["database"], line["servername"]) == ("complete", "shop", "staging")
    assert line["size"] == (shop.folder / second).stat().st_size
    text = shop.run("listbackups").out
    assert second in text
    assert "complete" in text


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["-z"], {"gzip"}),
        (["-Z"], {"plain", "staging"}),
        (["-e"], set()),
        (["-E"], {"plain", "gzip", "staging"}),
        (["-s", "staging"], {"staging"}),
        (["-d", "shop"], {"plain", "gzip", "staging"}),
        (["-d", "sho"], set()),
        (["-c", "db"], {"plain", "gzip", "staging"}),
        (["-c", "media"], set()),
    ],
)
def test_filters(shop, args, expected):
    made = {"plain": shop.backup(), "gzip": shop.backup("-z"), "staging": shop.backup("-s", "staging")}
    assert set(names(shop, *args)) == {made[kind] for kind in expected}


def test_status_of_each(shop):
    good, bad, cut, bare = (shop.backup() for _ in range(4))
    (shop.folder / f"{bad}.metadata").write_text("{}")
    (shop.folder / cut).write_bytes(b"x")
    (shop.folder / f"{bare}.metadata").unlink()
    (shop.folder / "README.txt").write_text("not a backup")
    (shop.folder / ".hidden").write_text("not a backup")
    status = {line["name"]: line["status"] for line in shop.run("listbackups", "--json").lines}
    assert status == {good: "complete", bad: "bad", cut: "bad", bare: "unverified"}


def test_impossible_dates_stop_nothing(shop):
    name = shop.backup()
    shutil.copy(shop.folder / name, shop.folder / "shop-testhost-2026-99-99-999999.sqlite3")
    assert name in names(shop)
    assert shop.run("dbrestore", "--noinput").status == 0


def test_empty_and_missing_folder(shop):
    run = shop.run("listbackups")
    assert (run.status, run.out) == (0, "")
    assert "no such backups" in run.err


class Counting(RemoteStorage):
    """Counts what is opened."""

    opened: ClassVar[Counter[str]] = Counter()

    def _open(self, name, mode="rb"):
        self.opened[name] += 1
        return super()._open(name, mode)


@pytest.fixture
def thousands(shop, databases):
    """Three thousand backups, a day apart, of three databases; the manifests are copies of one, renamed and signed."""
    shop.settings.STORAGES = {
        **shop.settings.STORAGES,
        "dbbackup": {"BACKEND": "tests.commands.test_listbackups.Counting"},
    }
    for alias in ("shop2", "other"):
        databases(alias, ENGINE="django.db.backends.sqlite3", NAME=str(shop.path))
    name = shop.backup()
    catalog = Catalog()
    manifest = catalog.get(name).manifest
    assert manifest is not None
    import dataclasses
    from datetime import timedelta

    for number in range(3000):
        made = manifest.started - timedelta(days=number // 3 + 1)
        alias = ("shop", "shop2", "other")[number % 3]
        suffix = ".gz" if number % 2 else ""
        new = f"{alias}-testhost-{made:%Y-%m-%d-%H%M%S}.sqlite3{suffix}"
        Counting.left[new] = b"x" * manifest.size
        said = dataclasses.replace(
            manifest,
            name=new,
            database=alias,
            started=made,
            codecs=("gzip",) if suffix else (),
            objects=(dataclasses.replace(manifest.objects[0], name=new),),
        )
        Counting.left[f"{new}.metadata"] = said.to_bytes(catalog.settings.signing_keys)
    Counting.opened.clear()
    return name


def test_latest_reads_as_few_manifests_as_it_takes(thousands):
    choice = Catalog().latest(Filter(database="shop"))
    assert choice.backup.name == thousands
    assert sum(Counting.opened.values()) <= 2


def test_filter_by_name_does_not_read_every_manifest(shop, thousands):
    assert len(names(shop, "-d", "other")) == 1000
    assert sum(Counting.opened.values()) == 1000
    Counting.opened.clear()
    assert len(names(shop, "-e")) == 0
    assert sum(Counting.opened.values()) == 0
    shop.run("dbrestore", "--noinput", "-i", thousands)
    assert set(Counting.opened) == {thousands, f"{thousands}.metadata"}


def test_thousands_are_listed(shop, thousands):
    assert len(json.dumps(names(shop))) > 0
    assert len(names(shop)) == 3001
