from __future__ import annotations

import gzip
import hashlib
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from django.db import connections

import dbbackup
from dbbackup import signals
from dbbackup.exceptions import ConfigurationError, OperationFailed, UsageError
from tests.requirements import requires


def test_backup_is_named_stored_and_described(shop):
    name = shop.backup()
    said = shop.manifest(name)
    data = (shop.folder / name).read_bytes()
    assert shop.stored() == [name, f"{name}.metadata"]
    assert name.startswith("shop-testhost-")
    assert name.endswith(".sqlite3")
    assert said["objects"] == [{"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}]
    assert said["dump"] == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert (said["database"], said["servername"], said["codecs"]) == ("shop", "testhost", [])
    assert said["engine"] == "django.db.backends.sqlite3"
    assert said["connector"] == "dbbackup.db.sqlite.SqliteBackupConnector"


def test_function_returns_typed_results(shop):
    (done,) = dbbackup.backup(["shop"], compress="zstd")
    assert done.database == "shop"
    assert done.manifest.codecs == ("zstd",)
    assert done.manifest.size == (shop.folder / done.name).stat().st_size


@pytest.mark.parametrize(
    ("args", "ending"),
    [
        (["-z"], ".sqlite3.gz"),
        (["--compress", "gzip"], ".sqlite3.gz"),
        (["--compress", "zstd"], ".sqlite3.zst"),
        (["--no-compress"], ".sqlite3"),
        ([], ".sqlite3.zst"),
    ],
)
def test_compression_by_flag_and_setting(shop, args, ending):
    shop.settings.DBBACKUP_COMPRESSION = "zstd"
    assert shop.backup(*args).endswith(ending)


def test_plain_compress_is_readable_gzip(shop):
    name = shop.backup("-z")
    assert gzip.decompress((shop.folder / name).read_bytes()).startswith(b"SQLite format 3")


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["--compress", "lzma"], "lzma"),
        (["--compress", "gpg"], "not for compression"),
        (["--encrypt", "zstd"], "not for encryption"),
        (["-d", "nosuch"], "no database 'nosuch'"),
        (["-o", "a", "-O", "b"], "give one"),
        (["-o", "../outside"], "no name for a backup"),
        (["-O", "/nosuch/folder/x"], "no folder"),
        (["-d", "shop,default", "-o", "one"], "2 databases"),
        (["-n", "public"], "SqliteBackupConnector does not support --schema"),
    ],
)
def test_calls_that_cannot_be_meant(shop, args, error):
    run = shop.run("dbbackup", *args)
    assert run.status in {1, 2}
    assert error in run.error
    assert not shop.folder.exists() or shop.stored() == []


def test_missing_file_is_an_error_and_makes_none(shop):
    shop.path.unlink()
    run = shop.run("dbbackup")
    assert run.status == 1
    assert "has no file" in run.error
    assert not shop.path.exists()
    assert not shop.folder.exists() or shop.stored() == []


def test_name_of_the_caller_s_choice_is_found_again(shop):
    name = shop.backup("-o", "nightly/it's «ours» -1.bin", "-z")
    assert name == "nightly/it's «ours» -1.bin"
    before = shop.rows()
    shop.execute("DELETE FROM thing")
    assert shop.run("dbrestore", "--noinput").status == 0
    assert shop.rows() == before


def test_two_runs_in_the_same_second_leave_two_backups(shop):
    shop.settings.DBBACKUP_DATE_FORMAT = "%Y"
    names = {shop.backup() for _ in range(3)}
    assert len(names) == 3
    assert all(line["status"] == "complete" for line in shop.run("listbackups", "--json").lines)


def test_ten_runs_at_once_leave_ten_backups(shop):
    shop.settings.DBBACKUP_DATE_FORMAT = "%Y"

    def run(_: int) -> str:
        try:
            return dbbackup.backup(["shop"])[0].name
        finally:
            connections.close_all()  # A thread's connections are its own.

    with ThreadPoolExecutor(10) as pool:
        names = list(pool.map(run, range(10)))
    assert len(set(names)) == 10
    assert {found.ok for found in dbbackup.verify()} == {True}


def test_one_failing_database_does_not_stop_the_others(shop, databases, tmp_path):
    databases("gone", ENGINE="django.db.backends.sqlite3", NAME=str(tmp_path / "gone.sqlite3"))
    run = shop.run("dbbackup", "-d", "gone,shop")
    assert run.status == 3
    assert "gone" in run.error
    assert "Backed up shop" in run.out
    with pytest.raises(OperationFailed) as failed:
        dbbackup.backup(["gone", "shop"])
    assert list(failed.value.failures) == ["gone"]
    assert len(failed.value.results) == 1


def test_excluded_tables_come_without_rows(shop):
    shop.execute('CREATE TABLE "my table" (secret TEXT)', "INSERT INTO \"my table\" VALUES ('classified')")
    name = shop.backup("-x", "my table")
    assert b"classified" not in (shop.folder / name).read_bytes()
    run = shop.run("dbbackup", "-x", "my tabel")
    assert run.status == 1
    assert "my table" in run.error


def test_clean_keeps_the_newest_of_this_database_and_server(shop, databases, tmp_path):
    shop.settings.DBBACKUP_CLEANUP_KEEP = 2
    databases("shop2", ENGINE="django.db.backends.sqlite3", NAME=str(shop.path))
    other = shop.backup("-d", "shop2")
    staging = shop.backup("-s", "staging")
    (shop.folder / "shop-testhost-2001-01-01-000000.sqlite3").write_bytes(b"not ours")
    names = [shop.backup("-c") for _ in range(4)]
    kept = {name for name in shop.stored() if not name.endswith(".metadata")}
    assert kept == {other, staging, *names[2:], "shop-testhost-2001-01-01-000000.sqlite3"}


def test_clean_with_keep_zero_leaves_the_one_just_made(shop):
    shop.settings.DBBACKUP_CLEANUP_KEEP = 0
    shop.backup()
    name = shop.backup("--clean")
    assert shop.stored() == [name, f"{name}.metadata"]


def test_clean_with_template_without_database_name_and_keep_filter(shop):
    shop.settings.DBBACKUP_FILENAME_TEMPLATE = "{servername}-{datetime}.{extension}"
    shop.settings.DBBACKUP_CLEANUP_KEEP = 1
    first = shop.backup()
    shop.settings.DBBACKUP_CLEANUP_KEEP_FILTER = lambda name: name == first
    shop.backup()
    last = shop.backup("--clean")
    assert {name for name in shop.stored() if not name.endswith(".metadata")} == {first, last}


def test_clean_does_not_count_a_damaged_one(shop):
    shop.settings.DBBACKUP_CLEANUP_KEEP = 1
    good = shop.backup()
    bad = shop.backup()
    (shop.folder / bad).write_bytes(b"cut")
    last = shop.backup("--clean")
    assert good not in shop.stored()
    assert {bad, last} <= set(shop.stored())


def test_signals_tell_what_happens(shop):
    seen = []

    def receive(signal, sender, **kwargs):
        seen.append((signal, kwargs))

    watched = [signals.pre_backup, signals.post_backup, signals.backup_failed]
    for signal in watched:
        signal.connect(receive)
    try:
        name = shop.backup()
        shop.path.unlink()
        shop.run("dbbackup")
    finally:
        for signal in watched:
            signal.disconnect(receive)
    kinds = [signal for signal, _ in seen]
    assert kinds == [signals.pre_backup, signals.post_backup, signals.pre_backup, signals.backup_failed]
    assert seen[0][1]["database"]["ENGINE"] == "django.db.backends.sqlite3"
    assert seen[0][1]["servername"] == "testhost"
    assert seen[1][1]["filename"] == name
    assert seen[1][1]["storage"].exists(name)
    assert "has no file" in str(seen[3][1]["exception"])


def test_metadata_setter_adds_keys_and_cannot_replace_ours(shop):
    def setter(metadata):
        metadata["ticket"] = "Ü-7"
        metadata["connector"] = "os.system"
        return metadata

    shop.settings.DBBACKUP_BACKUP_METADATA_SETTER = setter
    said = shop.manifest(shop.backup())
    assert said["ticket"] == "Ü-7"
    assert said["connector"] == "dbbackup.db.sqlite.SqliteBackupConnector"


@pytest.mark.parametrize("added", [{"mine": object()}, None, 7])
def test_metadata_that_does_not_fit_stops_the_backup_and_names_the_setting(shop, added):
    shop.settings.DBBACKUP_BACKUP_METADATA_SETTER = lambda metadata: added
    run = shop.run("dbbackup")
    assert run.status == 1
    assert "DBBACKUP_BACKUP_METADATA_SETTER" in run.error
    assert not shop.folder.exists()


def test_storage_that_fails_halfway_is_left_empty(shop):
    shop.settings.STORAGES = {**shop.settings.STORAGES, "dbbackup": {"BACKEND": "tests.storages.FailingStorage"}}
    run = shop.run("dbbackup")
    assert run.status == 1
    assert "the line is dead" in run.error
    assert len(run.error.splitlines()) <= 3
    from tests.storages import FailingStorage

    assert FailingStorage.left == {}


def test_storage_that_fails_at_the_manifest_is_left_empty(shop):
    shop.settings.STORAGES = {**shop.settings.STORAGES, "dbbackup": {"BACKEND": "tests.storages.FailingAtManifest"}}
    run = shop.run("dbbackup")
    assert run.status == 1
    from tests.storages import FailingAtManifest

    assert FailingAtManifest.left == {}


def test_remote_storage_end_to_end(shop):
    shop.settings.STORAGES = {**shop.settings.STORAGES, "dbbackup": {"BACKEND": "tests.storages.RemoteStorage"}}
    name = shop.backup("-z", "zstd")
    before = shop.rows()
    shop.execute("DELETE FROM thing")
    assert shop.run("verifybackups", "-i", name).status == 0
    assert shop.run("dbrestore", "--noinput").status == 0
    assert shop.rows() == before
    assert list(shop.tmp.iterdir()) == []


def test_storage_that_goes_back_to_the_start_gets_a_file(shop):
    shop.settings.STORAGES = {**shop.settings.STORAGES, "dbbackup": {"BACKEND": "tests.storages.RewindingStorage"}}
    name = shop.backup("-z", "zstd")
    assert shop.run("verifybackups", "-i", name).status == 0
    assert list(shop.tmp.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "has no location"),
        ({"locatio": "/x"}, "cannot be used: TypeError"),
        ({"location": "MEDIA_ROOT"}, "inside MEDIA_ROOT"),
    ],
)
def test_storage_in_the_wrong_place_is_refused_before_anything_is_written(shop, tmp_path, options, words):
    shop.settings.MEDIA_ROOT = str(tmp_path / "media")
    if "location" in options:
        options = {"location": str(tmp_path / "media" / "backups")}
    backend = "django.core.files.storage.FileSystemStorage"
    shop.settings.STORAGES = {**shop.settings.STORAGES, "dbbackup": {"BACKEND": backend, "OPTIONS": options}}
    run = shop.run("dbbackup")
    assert run.status == 1
    assert words in run.error
    assert not (tmp_path / "media").exists()


def test_bad_setting_is_one_line(shop):
    shop.settings.ADMINS = ["ops@example.org"]
    shop.settings.DBBACKUP_CLEANUP_KEEP = "3"
    run = shop.run("dbbackup")
    assert (run.status, run.error) == (1, "DBBACKUP_CLEANUP_KEEP must be a whole number, not '3'.")


def test_project_without_a_time_zone(shop):
    shop.settings.USE_TZ = False
    shop.settings.TIME_ZONE = None
    assert shop.manifest(shop.backup())["started"].endswith("+00:00")


def test_scripts_may_write_their_arguments_in_older_ways(shop):
    assert shop.run("dbbackup", database=["shop"], exclude_tables=["thing"], compress=True, noinput=True).status == 0
    assert shop.run("dbrestore", noinput=True).status == 0
    assert shop.run("dbrestore", interactive=False).status == 0
    assert shop.run("dbrestore", database="shop", uncompress=True, interactive=False, quiet=True).status == 0


def test_missing_storage_shows_the_lines_to_add(shop):
    storages = dict(shop.settings.STORAGES)
    del storages["dbbackup"]
    shop.settings.STORAGES = storages
    run = shop.run("dbbackup")
    assert run.status == 1
    assert 'STORAGES["dbbackup"] = {' in run.error
    with pytest.raises(ConfigurationError):
        dbbackup.backup()


@requires("sqlite3", "zstd")
@pytest.mark.parametrize("connector", ["SqliteBackupConnector", "SqliteConnector", "SqliteCPConnector"])
@pytest.mark.parametrize("compress", [(), ("-z",), ("-z", "zstd")])
def test_restore_by_hand_is_one_shell_line(shop, connector, compress):
    shop.settings.DBBACKUP_CONNECTORS = {"shop": {"CONNECTOR": f"dbbackup.db.sqlite.{connector}"}}
    shop.execute("INSERT INTO thing (name) VALUES ('two' || char(13, 10) || 'lines' || char(13))")
    name = shop.backup("-o", "-it's 1 $(x).bin", *compress)
    line = shop.manifest(name)["restore_by_hand"]
    assert "\n" not in line
    subprocess.run(["sh", "-ec", line], cwd=shop.folder, check=True)
    with closing(sqlite3.connect(shop.folder / "shop.restored.sqlite3")) as restored:
        assert restored.execute("SELECT id, name FROM thing ORDER BY id").fetchall() == shop.rows()


def test_local_time_that_daylight_saving_repeats_does_not_change_the_order(shop):
    """Two names whose local times are the wrong way round: the manifest decides."""
    first = shop.backup("-o", "shop-testhost-2026-10-25-023000.sqlite3")
    shop.execute("DELETE FROM thing WHERE id = 1")
    second = shop.backup("-o", "shop-testhost-2026-10-25-020000.sqlite3")
    assert [line["name"] for line in shop.run("listbackups", "--json").lines] == [second, first]
    shop.execute("DELETE FROM thing")
    assert shop.run("dbrestore", "--noinput").status == 0
    assert len(shop.rows()) == 2


def test_unknown_option_of_a_connector_is_refused_by_name(shop):
    shop.settings.DBBACKUP_CONNECTORS = {"shop": {"EXCLDUE": ["x"]}}
    run = shop.run("dbbackup")
    assert run.status == 1
    assert "SqliteBackupConnector does not have options: excldue" in run.error


def test_usage_error_names_the_aliases(shop):
    with pytest.raises(UsageError, match="shop"):
        dbbackup.backup(["nosuch"])


def test_permissions_are_those_that_the_storage_asks_for(shop):
    options = {"location": str(shop.folder), "file_permissions_mode": 0o640, "directory_permissions_mode": 0o700}
    shop.settings.STORAGES["dbbackup"]["OPTIONS"] = options
    shop.settings.STORAGES = dict(shop.settings.STORAGES)
    name = shop.backup("-o", "below/one")
    modes = [(shop.folder / path).stat().st_mode & 0o777 for path in (name, f"{name}.metadata", ".", "below")]
    assert modes == [0o640, 0o640, 0o700, 0o700]


def test_storage_that_refuses_to_delete_is_reported_and_the_backup_is_there(shop):
    shop.settings.STORAGES = {**shop.settings.STORAGES, "dbbackup": {"BACKEND": "tests.storages.LockedStorage"}}
    shop.settings.DBBACKUP_CLEANUP_KEEP = 1
    shop.backup()
    run = shop.run("dbbackup", "--clean")
    assert run.status == 1
    assert "is complete, but" in run.error
    assert "retained" in run.error
    assert len([line for line in shop.run("listbackups", "--json").lines if line["status"] == "complete"]) == 2
