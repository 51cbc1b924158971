"""The options for pg_restore: split, jobs taken out, those that are not to be given refused."""

from __future__ import annotations

import pytest

from dbbackup.db.postgresql.options import restore_options
from dbbackup.exceptions import ConfigurationError


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (None, ()),
        ("", ()),
        ([], ()),
        ("--no-owner -x", ("--no-owner", "-x")),
        ("--table='a b' -t 'it''s'", ("--table=a b", "-t", "its")),
        ("-xtb -n a -1", ("-x", "-tb", "-n", "a", "-1")),
        (["--table", "a b"], ("--table", "a b")),
        (("-n", "public"), ("-n", "public")),
        ("--disable-triggers --no-comments", ("--disable-triggers", "--no-comments")),
        ("--no-known-option=x", ("--no-known-option=x",)),
    ],
)
def test_options(given, options):
    assert restore_options(given) == (options, 0)


@pytest.mark.parametrize(
    ("given", "options", "jobs"),
    [
        ("-j4", (), 4),
        ("-j 4 -x", ("-x",), 4),
        ("--jobs=4", (), 4),
        ("--jobs 12", (), 12),
        (["-O", "--jobs", "1"], ("-O",), 1),
        ("--jo=2", (), 2),
        ("-xj3", ("-x",), 3),
    ],
)
def test_jobs(given, options, jobs):
    assert restore_options(given) == (options, jobs)


@pytest.mark.parametrize("given", ["-j", "-j0", "--jobs=", "--jobs=-1", "-jx", "--jobs x", "--jobs"])
def test_jobs_that_are_no_number(given):
    with pytest.raises(ConfigurationError, match=r"--jobs must be a number from 1 on"):
        restore_options(given)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("-d other", "dbname"), ("-dother", "dbname"), ("--dbname=other", "dbname"), ("--db other", "dbname"),
        ("-f -", "file"), ("--file=/dev/null", "file"), ("--fil x", "file"), ("-Fd", "format"),
        ("--format=d", "format"), ("-L list", "use-list"), ("--use-list=x", "use-list"),
        ("-l", "list"), ("--list", "list"),
        ("-h x", "host"),
        ("--host=x", "host"), ("-p1", "port"), ("--port", "port"), ("-U x", "username"), ("--username=x", "username"),
        ("-W", "password"), ("-C", "create"), ("--version", "version"), ("--he", "help"),
        ("-xd other", "dbname"), ("-Ox -j 4 -vd other", "dbname"),
    ],
)  # fmt: skip
def test_reserved(given, named):
    with pytest.raises(ConfigurationError, match=f"--{named} is not to be given"):
        restore_options(given)


def test_values_of_options_are_not_options():
    given = ["-n", "-d", "--schema", "--host", "-t", "-j4", "--role", "x"]
    assert restore_options(given) == (tuple(given), 0)


@pytest.mark.parametrize("given", ["dump.bin", "-x /tmp/dump", "-- dump", "--clean dump", "-"])
def test_file_in_place_of_the_backup(given):
    with pytest.raises(ConfigurationError, match="is no option for pg_restore"):
        restore_options(given)


def test_text_that_cannot_be_split():
    with pytest.raises(ConfigurationError, match="cannot be split"):
        restore_options("--table='a")
