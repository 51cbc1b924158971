"""Backups that are damaged, foreign or forged: refused before the database is touched."""

from __future__ import annotations

import json
import shutil

import pytest

import dbbackup
from dbbackup.exceptions import VerificationError
from tests.shop import forge, refused


class TestDamage:
    def test_cut_data_is_refused_when_named_and_passed_over_otherwise(self, shop):
        good = shop.backup()
        bad = shop.backup()
        (shop.folder / bad).write_bytes((shop.folder / bad).read_bytes()[:-1])
        assert bad in refused(shop, "-i", bad)
        run = shop.run("dbrestore", "--noinput", "--json")
        assert run.lines[0]["name"] == good
        assert bad in run.err
        assert run.lines[0]["passed_over"] == [bad]

    def test_changed_byte_is_refused(self, shop):
        name = shop.backup("-z")
        data = bytearray((shop.folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (shop.folder / name).write_bytes(data)
        assert "not what was written" in refused(shop)
        with pytest.raises(VerificationError):
            dbbackup.restore("shop")

    @pytest.mark.parametrize("content", [b"", b"{}", b"garbage", b"[" * 100_000, b'{"format": "dbbackup/1"}'])
    def test_bad_manifest(self, shop, content):
        good = shop.backup()
        bad = shop.backup()
        (shop.folder / f"{bad}.metadata").write_bytes(content)
        assert bad in refused(shop, "-i", bad)
        run = shop.run("dbrestore", "--noinput", "--json")
        assert run.lines[0]["name"] == good
        assert bad in run.err

    def test_only_a_bad_one_means_none(self, shop):
        bad = shop.backup()
        (shop.folder / f"{bad}.metadata").write_bytes(b"{}")
        assert bad in refused(shop)

    def test_data_that_is_gone(self, shop):
        bad = shop.backup()
        (shop.folder / bad).unlink()
        assert "missing" in refused(shop, "-i", bad)
        assert shop.run("verifybackups").status == 1

    @pytest.mark.parametrize("suffix", ["", ".metadata"])
    def test_link_in_place_of_a_file(self, shop, suffix):
        good = shop.backup()
        bad = shop.backup()
        path = shop.folder / f"{bad}{suffix}"
        shutil.move(path, shop.tmp / "aside")
        path.symlink_to(shop.tmp / "aside")
        assert bad in refused(shop, "-i", bad)
        assert shop.run("dbrestore", "--noinput", "--json").lines[0]["name"] == good
        assert shop.run("verifybackups").status == 1

    def test_copy_under_another_name(self, shop):
        name = shop.backup()
        for suffix in ("", ".metadata"):
            shutil.copy(
                shop.folder / f"{name}{suffix}", shop.folder / f"shop-testhost-2999-01-01-000000.sqlite3{suffix}"
            )
        assert "belongs to" in refused(shop, "-i", "shop-testhost-2999-01-01-000000.sqlite3")
        assert shop.run("dbrestore", "--noinput", "--json").lines[0]["name"] == name

    def test_bodies_exchanged(self, shop):
        first = shop.backup()
        shop.execute("UPDATE thing SET name = 'x'")
        second = shop.backup()
        a, b = ((shop.folder / name).read_bytes() for name in (first, second))
        (shop.folder / first).write_bytes(b)
        (shop.folder / second).write_bytes(a)
        for name in (first, second):
            refused(shop, "-i", name)

    def test_older_manifest_over_a_newer_backup(self, shop):
        first = shop.backup()
        second = shop.backup()
        shutil.copy(shop.folder / f"{first}.metadata", shop.folder / f"{second}.metadata")
        assert "belongs to" in refused(shop, "-i", second)
        run = shop.run("dbrestore", "--noinput", "--json")
        assert (run.lines[0]["name"], run.lines[0]["passed_over"]) == (first, [second])


class TestManifestOfAnAttacker:
    def test_altered_one_is_refused(self, shop):
        name = shop.backup()
        forge(shop, name, database="other")
        assert "signature" in refused(shop, "-i", name)

    def test_connector_that_nobody_named_is_not_imported(self, shop):
        name = shop.backup()
        forge(shop, name, connector="os.system")
        assert "os.system" in refused(shop, "-i", name, "--ignore-signature")

    def test_older_form_may_not_name_anything_either(self, shop):
        name = shop.backup()
        (shop.folder / f"{name}.metadata").write_text('{"engine": "x", "connector": "os.system"}')
        assert "os.system" in refused(shop, "-i", name)

    def test_other_engine_is_refused(self, shop):
        name = shop.backup()
        forge(shop, name, engine="django.db.backends.postgresql")
        assert "is of engine" in refused(shop, "-i", name, "--ignore-signature")

    def test_lost_key_has_a_way_out(self, shop):
        name = shop.backup()
        shop.settings.SECRET_KEY = "a new one"
        assert "DBBACKUP_SIGNING_KEYS" in refused(shop, "-i", name)
        assert shop.run("dbrestore", "--noinput", "-i", name, "--ignore-signature").status == 0

    def test_key_that_was_replaced_still_counts(self, shop):
        old = shop.settings.SECRET_KEY
        shop.backup()
        shop.settings.SECRET_KEY = "a new one"
        shop.settings.SECRET_KEY_FALLBACKS = [old]
        assert shop.run("dbrestore", "--noinput").status == 0
        shop.settings.DBBACKUP_SIGNING_KEYS = ["only this"]
        assert "no complete backup" in refused(shop)


class TestWithoutManifest:
    def test_chosen_only_when_nothing_else_is_there(self, shop):
        name = shop.backup("-z", "zstd")
        (shop.folder / f"{name}.metadata").unlink()
        run = shop.run("dbrestore", "--noinput")
        assert run.status == 0
        assert "unverified" in run.err
        good = shop.backup()
        newer = "shop-testhost-2999-01-01-000000.sqlite3"
        shutil.copy(shop.folder / good, shop.folder / newer)
        assert shop.run("dbrestore", "--noinput", "--json").lines[0]["name"] == good
        assert shop.run("dbrestore", "--noinput", "--json", "-i", newer).lines[0]["name"] == newer

    def test_codecs_are_found_by_the_first_bytes(self, shop):
        name = shop.backup("-z", "-o", "anything")
        (shop.folder / f"{name}.metadata").unlink()
        assert shop.run("dbrestore", "--noinput", "-i", name).status == 0

    def test_cut_one_is_refused(self, shop):
        name = shop.backup("-z")
        (shop.folder / f"{name}.metadata").unlink()
        data = (shop.folder / name).read_bytes()
        (shop.folder / name).write_bytes(data[:-9])
        refused(shop, "-i", name)

    @pytest.mark.parametrize("content", [b"", b"PGDMP" + bytes(100), b"-- MariaDB dump 10.19\n", b'[{"model": "x"}]'])
    def test_dump_of_another_engine_is_refused(self, shop, content):
        shop.folder.mkdir()
        (shop.folder / "foreign").write_bytes(content)
        assert "not touched" in refused(shop, "-i", "foreign")

    def test_required_signature_refuses_it(self, shop):
        name = shop.backup()
        (shop.folder / f"{name}.metadata").unlink()
        shop.settings.DBBACKUP_REQUIRE_SIGNATURE = True
        assert "DBBACKUP_REQUIRE_SIGNATURE" in refused(shop, "-i", name)
        assert "DBBACKUP_REQUIRE_SIGNATURE" in refused(shop)
        assert shop.run("verifybackups").status == 1

    def test_manifest_of_the_older_package_is_understood(self, shop):
        name = shop.backup()
        said = {"engine": "django.db.backends.sqlite3", "connector": "dbbackup.db.sqlite.SqliteBackupConnector"}
        (shop.folder / f"{name}.metadata").write_text(json.dumps(said))
        run = shop.run("dbrestore", "--noinput")
        assert run.status == 0
        assert "unverified" in run.err
