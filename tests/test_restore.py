from __future__ import annotations

import io
import sqlite3
import sys
from contextlib import closing

import pytest

import dbbackup
from dbbackup import signals
from dbbackup.db.exceptions import ConnectorError
from dbbackup.exceptions import BackupNotFound, DBBackupError, RestoreRefused
from tests.shop import forge, refused


def test_newest_one_comes_back_with_a_report(shop):
    shop.backup()
    shop.execute("INSERT INTO thing (name) VALUES ('new')")
    name = shop.backup("-z", "zstd")
    shop.execute("DELETE FROM thing")
    (line,) = shop.run("dbrestore", "--noinput", "--json").lines
    assert line["name"] == name
    assert line["rows"] == {"thing": 4}
    assert len(shop.rows()) == 4


def test_function_returns_what_was_done(shop):
    shop.backup()
    done = dbbackup.restore("shop")
    assert (done.plan.database, dict(done.rows)) == ("shop", {"thing": 3})


def test_no_backup_is_an_error(shop):
    assert "no complete backup of database 'shop'" in refused(shop)
    with pytest.raises(BackupNotFound):
        dbbackup.restore("shop", name="nosuch")


def test_filters_only_narrow_the_choice(shop):
    plain = shop.backup()
    compressed = shop.backup("-z")
    other = shop.backup("-s", "staging")
    for args, name in [((), other), (("-z",), compressed), (("-s", "testhost"), compressed), (("-i", plain), plain)]:
        (line,) = shop.run("dbrestore", "--noinput", "--json", *args).lines
        assert line["name"] == name
    assert "no complete backup" in refused(shop, "-c")


def test_alias_is_not_a_substring(shop, databases, tmp_path):
    shop.backup()
    with closing(sqlite3.connect(tmp_path / "other.sqlite3")) as other:
        other.execute("CREATE TABLE other (id)")
    databases("shop2", ENGINE="django.db.backends.sqlite3", NAME=str(tmp_path / "other.sqlite3"))
    shop.backup("-d", "shop2")
    assert shop.run("dbrestore", "--noinput", "-d", "shop").status == 0
    assert len(shop.rows()) == 3


def test_backup_of_another_alias_restores_when_named(shop, databases, tmp_path):
    name = shop.backup()
    path = tmp_path / "copy.sqlite3"
    databases("copy", ENGINE="django.db.backends.sqlite3", NAME=str(path))
    run = shop.run("dbrestore", "--noinput", "-d", "copy", "-i", name)
    assert run.status == 0
    assert "made from database 'shop' and goes into 'copy'" in run.err
    with closing(sqlite3.connect(path)) as copy:
        assert copy.execute("SELECT count(*) FROM thing").fetchone() == (3,)


def test_several_databases_need_a_name(shop):
    shop.settings.DBBACKUP_DATABASES = ["shop", "default"]
    run = shop.run("dbrestore", "--noinput")
    assert run.status == 2
    assert "shop, default" in run.error


def test_protected_database_needs_a_flag(shop):
    shop.backup()
    shop.settings.DBBACKUP_PROTECTED_DATABASES = ["shop"]
    assert "--allow-protected" in refused(shop)
    assert shop.run("dbrestore", "--noinput", "--allow-protected").status == 0


def test_connector_of_the_manifest_is_used_after_the_settings_changed(shop):
    shop.settings.DBBACKUP_CONNECTORS = {"shop": {"CONNECTOR": "dbbackup.db.sqlite.SqliteConnector"}}
    name = shop.backup()
    assert name.endswith(".dump")
    shop.settings.DBBACKUP_CONNECTORS = {}
    shop.execute("DELETE FROM thing")
    assert shop.run("dbrestore", "--noinput").status == 0
    assert len(shop.rows()) == 3


def test_exact_removes_what_was_made_since(shop):
    shop.settings.DBBACKUP_CONNECTORS = {"shop": {"CONNECTOR": "dbbackup.db.sqlite.SqliteConnector"}}
    shop.backup()
    shop.execute("CREATE TABLE since (id)")
    assert shop.run("dbrestore", "--noinput", "--json").lines[0]["rows"] == {"since": 0, "thing": 3}
    assert shop.run("dbrestore", "--noinput", "--json", "--exact").lines[0]["rows"] == {"thing": 3}


@pytest.mark.parametrize(("flag", "named"), [("--no-drop", "--no-drop"), ("--pg-options=-v", "--pg-options")])
def test_flag_of_another_engine_is_refused_by_name(shop, flag, named):
    shop.backup()
    assert f"SqliteBackupConnector does not support {named}" in refused(shop, flag)


def test_locked_database_ends_in_a_clear_error(shop):
    shop.backup()
    shop.settings.DBBACKUP_LOCK_TIMEOUT = 0.3
    with closing(sqlite3.connect(shop.path)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        for command in ("dbbackup", "dbrestore"):
            run = shop.run(command, "--noinput")
            assert run.status == 1
            assert "DBBACKUP_LOCK_TIMEOUT" in run.error


def test_database_that_others_hold_open_sees_the_restore(shop):
    shop.backup()
    with closing(sqlite3.connect(shop.path)) as reader:
        reader.execute("PRAGMA journal_mode = WAL")
        reader.execute("DELETE FROM thing")
        reader.commit()
        assert shop.run("dbrestore", "--noinput").status == 0
        assert reader.execute("SELECT count(*) FROM thing").fetchone() == (3,)
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)


class TestQuestion:
    @pytest.fixture
    def answer(self, monkeypatch):
        def give(text, tty=True):
            stream = io.StringIO(text)
            stream.isatty = lambda: tty  # type: ignore[method-assign]
            monkeypatch.setattr(sys, "stdin", stream)

        return give

    @pytest.mark.parametrize(("text", "rows"), [("y\n", 3), ("yes\n", 3), ("n\n", 0), ("\n", 0)])
    def test_is_asked_and_obeyed(self, shop, answer, text, rows):
        shop.backup()
        shop.execute("DELETE FROM thing")
        answer(text)
        run = shop.run("dbrestore")
        assert len(shop.rows()) == rows
        assert run.status == (0 if rows else 1)
        assert str(shop.path) in run.err

    def test_nobody_to_ask_is_a_usage_error(self, shop, answer):
        shop.backup()
        answer("", tty=False)
        run = shop.run("dbrestore")
        assert run.status == 2
        assert "--noinput" in run.error

    def test_function_asks_through_its_callback(self, shop):
        shop.backup()
        with pytest.raises(RestoreRefused, match="cancelled"):
            dbbackup.restore("shop", confirm=lambda plan: False)


@pytest.mark.parametrize(("answer", "status"), [(False, 1), (True, 0), (None, 0)])
def test_metadata_validator(shop, answer, status):
    shop.backup()
    seen = []

    def validator(metadata):
        seen.append(metadata)
        return answer

    shop.settings.DBBACKUP_RESTORE_METADATA_VALIDATOR = validator
    assert shop.run("dbrestore", "--noinput").status == status
    assert seen[0]["engine"] == "django.db.backends.sqlite3"


def test_validator_that_breaks_refuses_and_is_named(shop):
    shop.backup()
    shop.settings.DBBACKUP_RESTORE_METADATA_VALIDATOR = lambda metadata: metadata["nosuch"]
    assert "DBBACKUP_RESTORE_METADATA_VALIDATOR failed" in refused(shop)


@pytest.mark.parametrize("name", ["nightly-web1-2026-11-23-010203.sqlite3", "testhost-shop-2026-11-23-010203.sqlite3"])
def test_name_that_reads_like_another_database_s_hides_nothing(shop, name):
    """As after a change of the template, or with a name of one's own."""
    shop.backup("-o", name)
    assert shop.run("dbrestore", "--noinput", "--json").lines[0]["name"] == name
    assert shop.run("listbackups", "--json", "-d", "shop").lines[0]["name"] == name


def test_command_error_of_the_validator_carries_its_own_message(shop):
    from django.core.management import CommandError

    def validator(metadata):
        raise CommandError("not on a Friday")

    shop.backup()
    shop.settings.DBBACKUP_RESTORE_METADATA_VALIDATOR = validator
    assert refused(shop) == "not on a Friday"


def test_signals_tell_what_happens(shop):
    seen = []

    def receive(signal, sender, **kwargs):
        seen.append((signal, kwargs))

    watched = [signals.pre_restore, signals.post_restore, signals.restore_failed]
    for signal in watched:
        signal.connect(receive)
    try:
        name = shop.backup()
        assert shop.run("dbrestore", "--noinput").status == 0
        shop.settings.DBBACKUP_LOCK_TIMEOUT = 0.1
        with closing(sqlite3.connect(shop.path)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            shop.run("dbrestore", "--noinput")
    finally:
        for signal in watched:
            signal.disconnect(receive)
    assert [signal for signal, _ in seen] == [
        signals.pre_restore,
        signals.post_restore,
        signals.pre_restore,
        signals.restore_failed,
    ]
    said = seen[0][1]
    assert (said["database_name"], said["filename"], said["servername"]) == ("shop", name, "testhost")
    assert said["database"]["NAME"] == str(shop.path)
    assert isinstance(seen[3][1]["exception"], ConnectorError)


def test_too_little_temporary_disk_is_known_before_the_start(shop):
    name = shop.backup()
    said = shop.manifest(name)
    forge(shop, name, dump={"size": 1 << 60, "sha256": said["dump"]["sha256"]})
    assert "DBBACKUP_TMP_DIR" in refused(shop, "-i", name, "--ignore-signature")


@pytest.mark.parametrize("path", ["/nosuch/file", "relative-nosuch"])
def test_path_that_is_not_there(shop, path):
    run = shop.run("dbrestore", "--noinput", "-I", path)
    assert run.status == 2
    assert path in run.error


def test_every_error_is_of_the_package(shop):
    with pytest.raises(DBBackupError):
        dbbackup.restore("shop", name="a", path="b")


def test_nothing_temporary_is_left(shop):
    shop.backup("-z", "zstd")
    shop.run("dbrestore", "--noinput")
    assert list(shop.tmp.iterdir()) == []
