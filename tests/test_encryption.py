"""Encrypted backups through the commands, opened by stock programs too."""

from __future__ import annotations

import subprocess

import pytest

from tests.gpg import LOCKED_KEY, PASSPHRASE, PLAIN_KEY, forget_passphrases, keyring
from tests.requirements import requires


@pytest.fixture
def identity(tmp_path, shop):
    """Return a file with an age identity that the settings name, as its recipient is."""
    path = tmp_path / "key.txt"
    made = subprocess.run(["age-keygen", "-o", str(path)], check=True, capture_output=True, text=True)
    shop.settings.DBBACKUP_AGE_RECIPIENTS = made.stderr.split()[-1]
    shop.settings.DBBACKUP_AGE_IDENTITY_FILE = str(path)
    return path


def comes_back(shop, *args):
    before = shop.rows()
    shop.execute("DELETE FROM thing")
    run = shop.run("dbrestore", "--noinput", *args)
    assert run.status == 0, run.error
    assert shop.rows() == before


@requires("age", "age-keygen", "python:pyrage", "zstd")
class TestAge:
    def test_round_trip_and_by_hand(self, shop, identity, tmp_path):
        name = shop.backup("-z", "zstd", "-e", "age")
        assert name.endswith(".sqlite3.zst.age")
        assert shop.manifest(name)["codecs"] == ["zstd", "age"]
        comes_back(shop)
        line = shop.manifest(name)["restore_by_hand"].replace("KEY_FILE", str(identity))
        subprocess.run(["sh", "-ec", line], cwd=shop.folder, check=True)
        assert (shop.folder / "shop.restored.sqlite3").read_bytes().startswith(b"SQLite format 3")

    def test_setting_makes_it_the_default(self, shop, identity):
        shop.settings.DBBACKUP_ENCRYPTION = "age"
        assert shop.backup().endswith(".age")
        assert shop.backup("-e").endswith(".age")
        assert shop.backup("--no-encrypt").endswith(".sqlite3")

    def test_machine_without_the_key_verifies_the_stored_bytes(self, shop, identity):
        name = shop.backup("-e", "age")
        shop.settings.DBBACKUP_AGE_IDENTITY_FILE = None
        run = shop.run("verifybackups")
        assert run.status == 0
        assert "not opened" in run.out
        run = shop.run("dbrestore", "--noinput")
        assert run.status == 1
        assert "DBBACKUP_AGE_IDENTITY_FILE" in run.error
        data = (shop.folder / name).read_bytes()
        (shop.folder / name).write_bytes(data[:-1] + b"x")
        assert shop.run("verifybackups").status == 1

    def test_other_key_is_refused(self, shop, identity, tmp_path):
        shop.backup("-e", "age")
        other = tmp_path / "other.txt"
        subprocess.run(["age-keygen", "-o", str(other)], check=True, capture_output=True)
        shop.settings.DBBACKUP_AGE_IDENTITY_FILE = str(other)
        before = shop.path.read_bytes()
        assert shop.run("dbrestore", "--noinput").status == 1
        assert shop.path.read_bytes() == before

    def test_passphrase_from_the_environment(self, shop, monkeypatch):
        monkeypatch.setenv("DBBACKUP_AGE_PASSPHRASE", "correct horse")
        name = shop.backup("-e", "age")
        comes_back(shop)
        monkeypatch.delenv("DBBACKUP_AGE_PASSPHRASE")
        run = shop.run("dbrestore", "--noinput", "-i", name)
        assert run.status == 1
        assert "passphrase" in run.error.lower()
        comes_back(shop, "-p", "correct horse")

    def test_no_recipient_is_an_error(self, shop):
        run = shop.run("dbbackup", "-e", "age")
        assert run.status == 1
        assert "DBBACKUP_AGE_RECIPIENTS" in run.error


@requires("gpg", "gpgconf")
class TestGpg:
    @pytest.fixture(autouse=True)
    def home(self, monkeypatch):
        with keyring() as home:
            monkeypatch.setenv("GNUPGHOME", str(home))
            yield home

    def test_round_trip_and_by_hand(self, shop):
        shop.settings.DBBACKUP_GPG_RECIPIENT = PLAIN_KEY
        shop.settings.DBBACKUP_GPG_ALWAYS_TRUST = True
        name = shop.backup("-z", "-e")
        assert name.endswith(".sqlite3.gz.gpg")
        assert (shop.folder / name).read_bytes().startswith(b"-----BEGIN PGP MESSAGE-----")
        comes_back(shop)
        line = shop.manifest(name)["restore_by_hand"]
        subprocess.run(["sh", "-ec", line], cwd=shop.folder, check=True, stderr=subprocess.DEVNULL)
        assert (shop.folder / "shop.restored.sqlite3").read_bytes().startswith(b"SQLite format 3")

    def test_binary_form(self, shop):
        shop.settings.DBBACKUP_GPG_RECIPIENT = [PLAIN_KEY, LOCKED_KEY]
        shop.settings.DBBACKUP_GPG_ALWAYS_TRUST = True
        shop.settings.DBBACKUP_GPG_ARMOR = False
        name = shop.backup("-e")
        assert not (shop.folder / name).read_bytes().startswith(b"-----")
        (shop.folder / f"{name}.metadata").unlink()
        comes_back(shop)

    def test_passphrase(self, shop, home, monkeypatch):
        shop.settings.DBBACKUP_GPG_RECIPIENT = LOCKED_KEY
        shop.settings.DBBACKUP_GPG_ALWAYS_TRUST = True
        shop.backup("-e")
        forget_passphrases(home)
        for args in ([], ["-p", "not-the-one"]):
            run = shop.run("dbrestore", "--noinput", *args)
            assert run.status == 1
            assert "passphrase" in run.error.lower()
            assert "not-the-one" not in run.error
            forget_passphrases(home)
        monkeypatch.setenv("DBBACKUP_GPG_PASSPHRASE", PASSPHRASE)
        comes_back(shop)

    def test_unknown_recipient(self, shop):
        shop.settings.DBBACKUP_GPG_RECIPIENT = "nobody@example.org"
        run = shop.run("dbbackup", "-e")
        assert run.status == 1
        assert "nobody@example.org" in run.error
        assert not shop.folder.exists() or shop.stored() == []
