"""Which options each program gets: those of MySQL's are stand-ins, which refuse what their version does not know."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dbbackup.db.exceptions import DumpError, RestoreError
from dbbackup.db.mysql import MysqlDumpConnector
from dbbackup.db.mysql.option_file import read_groups
from tests.db.mysql import canned
from tests.db.mysql.conftest import Database
from tests.db.mysql.fake_tools import VERSIONS, FakeTools
from tests.db.mysql.wrapping import noting, wrapped
from tests.requirements import requires
from tests.servers.mariadb import MariaDB
from tests.shop import Store

BASE = [
    "--single-transaction", "--quick", "--routines", "--events", "--triggers", "--hex-blob", "--no-tablespaces",
    "--comments", "--skip-dump-date", "--max-allowed-packet=1G",
]  # fmt: skip
CLIENT = ["--binary-mode", "--batch", "--skip-column-names", "--unbuffered", "--max-allowed-packet=1G", "--comments"]
CLIENT_END = ["--connect-timeout=10", "--skip-force", "--database=shop"]


class Imagined:
    """A connector to a MySQL server that does not exist."""

    def __init__(self, folder: Path, version: str, **answers: str) -> None:
        self.folder = folder
        self.tmp = folder / "tmp"
        self.tmp.mkdir(exist_ok=True)
        self.tools: FakeTools = canned.programs(folder, version, canned.server(version, **answers))

    def connector(self, **settings: Any) -> MysqlDumpConnector:
        return MysqlDumpConnector("shop", settings={**canned.settings(self.folder), "TMP_DIR": self.tmp, **settings})

    def dump(self, **settings: Any) -> bytes:
        with self.connector(**settings).create_dump() as dump:
            return dump.read()

    def option_file(self, program: str) -> dict[str, str | None]:
        """Return what the last run of a program was told."""
        path = self.folder / "told.cnf"
        path.write_text(self.tools.calls(program)[-1]["option_file"])
        return read_groups(path, ["client"])


@pytest.fixture
def imagined(tmp_path: Path) -> Callable[..., Imagined]:
    return lambda version="8.0.36", **answers: Imagined(tmp_path, version, **answers)


@pytest.mark.parametrize("version", VERSIONS)
def test_dump_of_each_version(imagined: Callable[..., Imagined], version: str):
    mysql = imagined(version)
    assert mysql.dump().endswith(b"-- Dump completed on 2026-01-02  3:04:05\n")
    (call,) = mysql.tools.calls("mysqldump")
    of_version = (
        ["--set-gtid-purged=OFF"] if version == "5.7.44" else ["--column-statistics=0", "--set-gtid-purged=OFF"]
    )
    assert call["args"] == [*BASE, *of_version, "shop"]
    assert call["mode"] == "0o600"
    assert list(mysql.tmp.iterdir()) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_client_of_each_version(imagined: Callable[..., Imagined], version: str):
    mysql = imagined(version)
    mysql.dump()
    calls = mysql.tools.calls("mysql")
    assert calls
    for call in calls:
        commands = ["--commands=OFF"] if version == "9.4.0" else []
        assert call["args"] == [*CLIENT, *commands, *CLIENT_END]
        assert call["mode"] == "0o600"


@pytest.mark.parametrize("version", VERSIONS)
def test_login_of_each_version(imagined: Callable[..., Imagined], version: str):
    mysql = imagined(version)
    mysql.dump()
    expected = {
        "user": "owner", "password": canned.PASSWORD, "host": "db.invalid", "port": "3307",
        "default-character-set": "utf8mb4", "ssl-mode": "PREFERRED",
    }  # fmt: skip
    assert mysql.option_file("mysqldump") == expected
    assert mysql.option_file("mysql") == expected
    mysql.dump(OPTIONS={"ssl": {"ca": "/ca.pem"}})
    assert mysql.option_file("mysqldump") == {**expected, "ssl-mode": "VERIFY_CA", "ssl-ca": "/ca.pem"}
    assert not [
        word for call in mysql.tools.calls() for word in call["args"] if "password" in word or "my" in word[2:4]
    ]


def test_excluded_tables_and_names_of_databases(imagined: Callable[..., Imagined]):
    mysql = imagined(**{"'table', TABLE_NAME": canned.TABLE + canned.TABLE.replace("\tt\t", "\t-x y.z\t")})
    mysql.dump(EXCLUDE=["-x y.z"])
    assert mysql.tools.calls("mysqldump")[-1]["args"][-2:] == ["--ignore-table=shop.-x y.z", "shop"]
    mysql.dump(NAME="--version")
    assert mysql.tools.calls("mysqldump")[-1]["args"][-2:] == ["--", "--version"]
    assert mysql.tools.calls("mysql")[-1]["args"][-1] == "--database=--version"


# A whole backup and a whole restore.


@pytest.fixture
def shop(imagined: Callable[..., Imagined], store: Store, databases: Callable[..., None]) -> Imagined:
    mysql = imagined("8.0.36")
    databases("shop", **{key: value for key, value in canned.settings(mysql.folder).items() if key != "ENV"})
    mysql.tmp = store.tmp
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"ENV": canned.settings(mysql.folder)["ENV"]}}
    return mysql


def test_backup_of_mysql(shop: Imagined, store: Store):
    name = store.backup()
    manifest = store.manifest(name)
    text = str(manifest)
    assert f"8.0.36 ({shop.folder / 'front' / 'mysqldump'})" in text
    assert f"8.0.36 ({shop.folder / 'front' / 'mysql'})" in text
    assert canned.PASSWORD not in text
    assert b"INSERT INTO `t` VALUES (1);" in (store.folder / name).read_bytes()
    assert store.run("verifybackups").status == 0


def test_restore_of_mysql(shop: Imagined, store: Store):
    store.backup()
    before = len(shop.tools.calls("mysql"))
    run = store.run("dbrestore", "--noinput", "--exact")
    assert (run.status, run.error) == (0, "")
    calls = shop.tools.calls("mysql")[before:]
    inputs = [call["input"] for call in calls]
    (load,) = [number for number, text in enumerate(inputs) if "INSERT INTO `t` VALUES (1);" in text]
    (dropping,) = [number for number, text in enumerate(inputs) if "DROP TABLE IF EXISTS `t`" in text]
    assert dropping < load
    assert all(call["args"] == [*CLIENT, *CLIENT_END] for call in calls)
    # One for the backup, one for the safety dump, with the same options.
    first, second = shop.tools.calls("mysqldump")
    assert first["args"] == second["args"]
    assert list(store.tmp.iterdir()) == []


def test_restore_of_mysql_that_fails_is_put_back(shop: Imagined, store: Store):
    store.backup()
    error = "ERROR 1062 (23000) at line 9: Duplicate entry '1' for key 't.PRIMARY'"
    marker = "-- a dump of another day\n"
    shop.tools.configure(body=marker + "CREATE TABLE `t` (`a` int);\n", errors={"INSERT INTO `t` VALUES": error})
    run = store.run("dbrestore", "--noinput")
    assert run.status == 1
    assert error in run.error
    assert "was put back and verified" in run.error
    loads = [call["input"] for call in shop.tools.calls("mysql") if "CREATE TABLE `t`" in call["input"]]
    assert ["INSERT" in load for load in loads] == [True, False]
    assert list(store.tmp.iterdir()) == []


def test_error_of_mysqldump_is_told_in_its_words(shop: Imagined, store: Store):
    insecure = "mysqldump: [Warning] Using a password on the command line interface can be insecure.\n"
    error = "mysqldump: Got error: 1044: Access denied for user 'owner'@'%' to database 'shop' when using LOCK TABLES"
    shop.tools.configure(errors={"single-transaction": insecure + error})
    run = store.run("dbbackup")
    assert run.status == 1
    assert f"mysqldump exited with status 2: {error}\nThe account lacks a right" in run.error
    assert "insecure" not in run.error
    assert store.stored() == []


def test_dump_of_mysql_without_its_last_line_is_not_kept(shop: Imagined, store: Store):
    shop.tools.configure(trailer="")
    run = store.run("dbbackup")
    assert run.status == 1
    assert "last line" in run.error
    assert store.stored() == []


# Rights and dumps that would lack something.


@pytest.mark.parametrize(
    ("grants", "words"),
    [
        ("GRANT SELECT, SHOW VIEW, EVENT, TRIGGER ON `shop`.* TO `owner`@`%`\n", r"GRANT SHOW_ROUTINE ON \*\.\*"),
        ("GRANT SELECT, EXECUTE ON `shop`.* TO `owner`@`%`\n", "GRANT SHOW VIEW, TRIGGER, EVENT ON `shop`"),
    ],
    ids=["routines", "views, triggers and events"],
)
def test_missing_right_is_named(imagined: Callable[..., Imagined], grants: str, words: str):
    mysql = imagined(**{"SHOW GRANTS": f"GRANT USAGE ON *.* TO `owner`@`%`\n{grants}"})
    with pytest.raises(DumpError, match=words):
        mysql.dump()
    assert mysql.tools.calls("mysqldump") == []


def test_dump_of_mariadb_in_mysql_is_refused_for_its_collation(shop: Imagined):
    dump = b"CREATE TABLE t (a text) COLLATE=utf8mb4_uca1400_ai_ci;\n"
    with pytest.raises(RestoreError, match="utf8mb4_uca1400_ai_ci"):
        shop.connector().restore_dump(io.BytesIO(dump))
    assert not [call for call in shop.tools.calls("mysql") if "CREATE TABLE" in call["input"]]


# Flavours side by side.


@requires("mariadb")
def test_program_of_mariadb_for_a_server_of_mysql_is_warned_of(imagined: Callable[..., Imagined], mariadb: MariaDB):
    mysql = imagined()
    warnings = mysql.connector(DUMP_CMD=str(mariadb.bin_dir / "mariadb-dump")).preflight_dump()
    assert any("8.0.36" in one and "do not belong together" in one and "MariaDB" in one for one in warnings)
    assert not any("belong together" in one for one in mysql.connector().preflight_dump())


@requires("mariadb")
def test_program_of_mysql_for_a_server_of_mariadb_is_warned_of(imagined: Callable[..., Imagined], database: Database):
    mysql = imagined()
    connector = database.connector(DUMP_CMD=str(mysql.tools.dump))
    assert any("do not belong together" in one and "8.0.36" in one for one in connector.preflight_dump())
    with connector.create_dump() as dump:
        assert b"-- MySQL dump" in dump.read()
    (call,) = mysql.tools.calls("mysqldump")
    assert call["args"] == [*BASE, "--column-statistics=0", "--set-gtid-purged=OFF", database.name]
    assert "ssl-mode" in call["option_file"]


@requires("mariadb")
def test_programs_of_the_server_s_flavour_are_preferred(imagined: Callable[..., Imagined], database: Database):
    mysql = imagined()
    both = mysql.folder / "mariadb's"
    both.mkdir()
    for name in ("mariadb", "mariadb-dump"):
        (both / name).symlink_to(database.server.bin_dir / name)
    path = {"PATH": f"{mysql.folder / 'front'}:{both}:{os.defpath}"}
    connector = database.connector(ENV=path)
    with connector.create_dump() as dump:
        assert b"-- MariaDB dump" in dump.read()
    assert connector.tool_versions().keys() == {"mariadb", "mariadb-dump"}
    assert mysql.tools.calls() == []
    # Which flavour the server is, a client of either says.
    front = str(mysql.folder / "front" / "mysql")
    connector = mysql.connector(ENV=path, RESTORE_CMD=front)
    with connector.create_dump() as dump:
        assert b"-- MySQL dump" in dump.read()
    assert connector.tool_versions().keys() == {"mysql", "mysqldump"}


@requires("mariadb:newer")
@pytest.mark.parametrize("version", ["mariadb", "newer_mariadb"])
def test_options_of_mariadb_s_programs(
    request: pytest.FixtureRequest, make_database: Callable[..., Database], tmp_path: Path, version: str
):
    server: MariaDB = request.getfixturevalue(version)
    database = make_database(server=server)
    noted = {name: tmp_path / f"{name}.noted" for name in ("dump", "client")}
    files = [f'sed "s/^/{name}: /" "${{1#*=}}" >> {tmp_path / "files"}' for name in noted]
    database.dump(
        DUMP_CMD=wrapped(
            tmp_path / "d", server.bin_dir / "mariadb-dump", noting(noted["dump"], 'echo "${@:2}"'), files[0]
        ),
        RESTORE_CMD=wrapped(
            tmp_path / "c", server.bin_dir / "mariadb", noting(noted["client"], 'echo "${@:2}"'), files[1]
        ),
    )
    assert noted["dump"].read_text() == f"{' '.join(BASE)} {database.name}\n"
    quiet = " --skip-print-query-on-error" if "print-query-on-error" in _help(server) else ""
    expected = f"{' '.join(CLIENT)} --connect-timeout=10 --skip-force{quiet} --database={database.name}"
    assert set(noted["client"].read_text().splitlines()) == {expected}
    lines = set((tmp_path / "files").read_text().splitlines())
    for name in noted:
        assert {f"{name}: ssl", f"{name}: skip-ssl-verify-server-cert"} <= lines
        assert not [line for line in lines if "ssl-mode" in line]


def _help(server: MariaDB) -> str:
    done = subprocess.run([server.bin_dir / "mariadb", "--no-defaults", "--help"], capture_output=True, check=True)
    return done.stdout.decode()
