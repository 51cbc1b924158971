"""--output-path: a file in place of the storage, with its manifest beside it."""

from __future__ import annotations

import os


def test_file_with_its_manifest(shop, tmp_path):
    path = tmp_path / "copy of.sqlite3"
    shop.backup("-O", str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "copy of.sqlite3.metadata").exists()
    shop.execute("DELETE FROM thing")
    assert shop.run("dbrestore", "--noinput", "-I", str(path)).status == 0
    assert len(shop.rows()) == 3


def test_existing_file_gives_way_once_the_new_one_is_whole(shop, tmp_path):
    path = tmp_path / "latest.sqlite3"
    shop.backup("-O", str(path))
    shop.execute("DELETE FROM thing WHERE id = 1")
    shop.backup("-O", str(path))
    shop.execute("DELETE FROM thing")
    assert shop.run("dbrestore", "--noinput", "-I", str(path)).status == 0
    assert len(shop.rows()) == 2
    assert not [name for name in tmp_path.iterdir() if "partial" in name.name]


def test_failing_run_leaves_the_existing_file(shop, tmp_path):
    path = tmp_path / "latest.sqlite3"
    shop.backup("-O", str(path))
    before = path.read_bytes()
    shop.path.unlink()
    assert shop.run("dbbackup", "-O", str(path)).status == 1
    assert path.read_bytes() == before


def test_folder_takes_the_default_name(shop, tmp_path):
    (tmp_path / "out").mkdir()
    name = shop.backup("-O", str(tmp_path / "out"))
    assert (tmp_path / "out" / name).exists()


def test_what_is_no_file_is_not_replaced(shop, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert shop.run("dbbackup", "-O", str(path)).status == 2
    assert path.is_fifo()
    assert not (tmp_path / "pipe.metadata").exists()


def test_link_is_followed_to_what_it_names(shop, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real.sqlite3")
    shop.backup("-O", str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real.sqlite3").read_bytes().startswith(b"SQLite format 3")


def test_s3_address_is_a_name_in_the_storage(shop):
    assert shop.backup("-O", "s3://bucket/below/x.sqlite3") == "below/x.sqlite3"
    assert "below/x.sqlite3" in shop.stored()
