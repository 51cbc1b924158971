"""How the programs log in: passwords of every kind, names of every kind, the driver's options, the environment."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from dbbackup.db.exceptions import CommandConnectorError, DatabaseLockedError
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from dbbackup.db.postgresql.login import Login
from dbbackup.exceptions import ConfigurationError
from tests.db.postgresql.conftest import Connector, Database, MakeDatabase
from tests.db.postgresql.formats import both_formats
from tests.requirements import requires
from tests.servers.account import addresses
from tests.servers.postgresql import Cluster, Role, literal, quote

pytestmark = requires("postgresql")

CONNECTORS: list[type[Connector]] = [PgDumpBinaryConnector, PgDumpConnector]
TABLE = "CREATE TABLE t (a text); INSERT INTO t VALUES ('ä€'), (NULL)"


@contextmanager
def role_of_its_own(cluster: Cluster, role: Role, right: str = "") -> Iterator[Role]:
    cluster.psql(f"CREATE ROLE {quote(role.name)} LOGIN {right} PASSWORD {literal(role.password)}")
    try:
        yield role
    finally:
        cluster.psql(f"DROP ROLE {quote(role.name)}")


def round_trip(database: Database, cls: type[Connector], **settings: object) -> None:
    """Dump, change and restore; the state must be the old one."""
    before = database.state()
    dump = database.dump(cls, **settings)
    database.psql("DELETE FROM t")
    assert database.state() != before
    database.restore(dump, cls, **settings)
    assert database.state() == before


@pytest.fixture
def table(database: Database) -> Database:
    database.psql(TABLE)
    return database


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def passfile(path: Path, role: Role) -> Path:
    path.touch(mode=0o600)
    escaped = role.password.replace("\\", "\\\\").replace(":", "\\:")
    path.write_text(f"*:*:*:{role.name}:{escaped}\n", encoding="utf-8")
    return path


# Passwords.


@both_formats
def test_password_with_every_kind_of_character(table: Database, cls: type[Connector]):
    round_trip(table, cls)


@pytest.mark.parametrize("password", ["two\nlines", "\\:" + "x" * 3000], ids=["newline", "long"])
def test_other_awkward_passwords(postgres: Cluster, make_database: MakeDatabase, password: str):
    with role_of_its_own(postgres, Role("awkward", password)) as role:
        database = make_database(owner=role)
        postgres.psql(TABLE, database.name, role)
        for cls in CONNECTORS:
            database.restore(database.dump(cls), cls)
        postgres.drop_database(database.name)


def test_no_password_fails_at_once_and_says_what_to_do(home: Path, table: Database):
    dump = table.dump()
    for password in (None, ""):
        with pytest.raises(CommandConnectorError, match=r"no password supplied[\s\S]*Set PASSWORD") as caught:
            table.dump(PASSWORD=password)
        assert caught.value.returncode
        with pytest.raises(CommandConnectorError, match="no password supplied"):
            table.restore(dump, PASSWORD=password)


@pytest.mark.parametrize(("cls", "password"), [(PgDumpBinaryConnector, None), (PgDumpConnector, "")])
def test_password_from_the_home_folder(home: Path, table: Database, cls: type[Connector], password: str | None):
    passfile(home / ".pgpass", table.cluster.owner)
    round_trip(table, cls, PASSWORD=password)


def test_password_from_a_passfile(tmp_path: Path, table: Database):
    path = passfile(tmp_path / "its passfile", table.cluster.owner)
    round_trip(table, PgDumpBinaryConnector, PASSWORD=None, OPTIONS={"passfile": path})


def test_password_goes_before_a_passfile(tmp_path: Path, table: Database):
    path = passfile(tmp_path / "passfile", Role("*", "wrong"))
    round_trip(table, PgDumpBinaryConnector, OPTIONS={"passfile": str(path)})


def test_wrong_password(table: Database):
    for password in ("wrong", "wr\nong"):
        with pytest.raises(CommandConnectorError, match='password authentication failed for user "owner"') as caught:
            table.dump(PASSWORD=password)
        assert "wr" not in str(caught.value).replace("*** ", "")


def test_inherited_password_does_not_win(table: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGPASSWORD", "of somebody else")
    round_trip(table, PgDumpBinaryConnector)


def test_inherited_password_serves_where_there_is_none(table: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGPASSWORD", table.cluster.owner.password)
    round_trip(table, PgDumpBinaryConnector, PASSWORD="")


def test_environment_of_the_settings_goes_before_the_password(table: Database):
    variables = {"PGPASSWORD": table.cluster.owner.password}
    round_trip(table, PgDumpConnector, PASSWORD="wrong", ENV=variables)
    dump = table.dump(PASSWORD="wrong", DUMP_ENV=variables)
    with pytest.raises(CommandConnectorError, match="password authentication failed"):
        table.restore(dump, PASSWORD="wrong", DUMP_ENV=variables)
    table.restore(dump, PASSWORD="wrong", RESTORE_ENV=variables)


def test_no_other_environment(table: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGHOST", "nowhere.invalid")
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")
    with pytest.raises(CommandConnectorError, match="nonsense"):
        table.dump()
    round_trip(table, PgDumpConnector, USE_PARENT_ENV=False)
    round_trip(table, PgDumpBinaryConnector, USE_PARENT_ENV=False)


def test_encoding_of_the_terminal_does_not_matter(table: Database, monkeypatch: pytest.MonkeyPatch):
    # It has no €.
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    round_trip(table, PgDumpConnector)
    round_trip(table, PgDumpBinaryConnector)


def test_encoding_that_is_asked_for(make_database: MakeDatabase):
    database = make_database("ä")
    database.psql("CREATE TABLE t (ö text); INSERT INTO t VALUES ('ü')")
    dump = database.dump(PgDumpConnector, DUMP_ENV={"PGCLIENTENCODING": "LATIN1"})
    assert "ü\n".encode("latin1") in dump
    before = database.state()
    database.psql("DELETE FROM t")
    database.restore(dump, PgDumpConnector)
    assert database.state() == before


def encoded(database: Database, encoding: str) -> Database:
    """Return a database made anew in another encoding."""
    cluster = database.cluster
    cluster.drop_database(database.name)
    settings = f"OWNER owner ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
    cluster.psql(f"CREATE DATABASE {quote(database.name)} {settings}")
    return database


@both_formats
def test_database_in_another_encoding(database: Database, cls: type[Connector]):
    encoded(database, "LATIN1")
    database.psql("CREATE SCHEMA ü; CREATE TABLE ü.ö (ä text PRIMARY KEY); INSERT INTO ü.ö VALUES ('é')")
    before = database.state()
    dump = database.dump(cls)
    database.psql("DELETE FROM ü.ö; CREATE TABLE ü.à (b int)")
    database.restore(dump, cls, EXACT=True)
    assert database.state() == before
    dump = database.dump(cls, SCHEMAS=["ü"], EXCLUDE=["ö"])
    database.restore(dump, cls)
    assert database.psql("SELECT count(*) FROM ü.ö") == "0"


@both_formats
def test_database_in_no_known_encoding(database: Database, cls: type[Connector]):
    encoded(database, "SQL_ASCII")
    # No UTF-8.
    database.psql(r"CREATE TABLE t (a text); INSERT INTO t VALUES (E'\xe9')")
    dump = database.dump(cls)
    database.psql("DELETE FROM t")
    for exact in (False, True):
        database.restore(dump, cls, EXACT=exact)
        assert database.psql("SELECT encode(a::bytea, 'hex') FROM t") == "e9"


def test_startup_file_is_not_read(home: Path, table: Database):
    (home / ".psqlrc").write_text("\\echo poison\n\\set ON_ERROR_STOP off\n\\q\n")
    round_trip(table, PgDumpConnector)
    round_trip(table, PgDumpBinaryConnector)


# Where the server is.


def test_socket_folder(table: Database):
    round_trip(table, PgDumpBinaryConnector, HOST=str(table.cluster.socket_dir))


@pytest.mark.skipif("::1" not in addresses(), reason="no IPv6")
def test_ipv6(table: Database):
    round_trip(table, PgDumpConnector, HOST="::1")


def test_empty_host_and_port_are_those_of_the_environment(table: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGHOST", table.cluster.host)
    monkeypatch.setenv("PGPORT", str(table.cluster.port))
    round_trip(table, PgDumpBinaryConnector, HOST="", PORT="")
    round_trip(table, PgDumpConnector, HOST=None, PORT=None)


def test_given_host_goes_before_the_environment(table: Database, monkeypatch: pytest.MonkeyPatch):
    for name in ("PGHOST", "PGDATABASE", "PGUSER", "PGAPPNAME"):
        monkeypatch.setenv(name, "nowhere.invalid")
    round_trip(table, PgDumpBinaryConnector, PORT=table.cluster.port)


def test_options_of_the_driver_that_name_the_server(table: Database):
    cluster = table.cluster
    options = {"host": cluster.host, "port": cluster.port, "user": "owner", "password": cluster.owner.password}
    nothing = {"HOST": "", "PORT": "", "USER": "", "PASSWORD": "", "NAME": ""}
    round_trip(table, PgDumpBinaryConnector, **nothing, OPTIONS={**options, "dbname": table.name})


def test_without_a_name_no_other_database_is_taken(make_database: MakeDatabase):
    database = make_database("owner")
    with pytest.raises(ConfigurationError, match="NAME"):
        database.dump(NAME="")


def test_server_that_is_not_there(table: Database):
    with pytest.raises(CommandConnectorError, match=r"Cannot dump database.*Connection refused"):
        table.dump(PORT="1")
    with pytest.raises(CommandConnectorError, match=r"Cannot dump database.*could not translate host name"):
        table.dump(HOST="nowhere.invalid")


def test_time_limit_of_the_website_does_not_stop_a_restore(table: Database):
    before = table.state()
    dump = table.dump()
    holder = threading.Thread(target=table.psql, args=["BEGIN; LOCK TABLE t; SELECT pg_sleep(2); COMMIT"])
    holder.start()
    while (
        table.psql("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 't'::regclass")
        == "0"
    ):
        time.sleep(0.01)
    # The first thing that an exact restore does is to drop the table.
    table.restore(dump, EXACT=True, OPTIONS={"options": "-c statement_timeout=1s"})
    holder.join()
    assert table.state() == before


def test_database_that_is_not_there(table: Database):
    with pytest.raises(CommandConnectorError, match='database "no such" does not exist'):
        table.dump(NAME="no such")
    with pytest.raises(CommandConnectorError, match='database "no such" does not exist'):
        table.restore(table.dump(), NAME="no such")


# Names.

NAMES = [
    "it's \"quoted\" back\\slash a=b 100% ü€ $HOME `id`; #", "dbname=postgres host=nowhere", "--version",
    "postgresql://a:b@c/d?e=f", " edges\nand\tnew lines ",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_awkward_names(postgres: Cluster, make_database: MakeDatabase, name: str):
    with role_of_its_own(postgres, Role(name, name)) as role:
        database = make_database(name, alias="awkward", owner=role)
        postgres.psql(TABLE, name, role)
        before = database.state()
        for cls in CONNECTORS:
            dump = database.dump(cls)
            postgres.psql("DELETE FROM t", name, role)
            database.restore(dump, cls)
            assert database.state() == before
        postgres.drop_database(name)


@pytest.mark.parametrize(
    ("cls", "how", "name"),
    [
        (PgDumpBinaryConnector, "ROLE", "-c a\troler"),
        (PgDumpConnector, "ROLE", "back\\slash"),
        (PgDumpBinaryConnector, "assume_role", 'it\'s "quoted"'),
        (PgDumpConnector, "assume_role", "ü = -c x"),
    ],
)
def test_role_to_become(postgres: Cluster, make_database: MakeDatabase, cls: type[Connector], name: str, how: str):
    postgres.psql(f"CREATE ROLE {quote(name)}; CREATE ROLE guest LOGIN NOINHERIT IN ROLE {quote(name)} PASSWORD 'g'")
    try:
        database = make_database(owner=Role(name, ""), role=Role("guest", "g"))
        postgres.psql(f"SET ROLE {quote(name)}; {TABLE}", database.name)
        before = database.state()
        settings = {"ROLE": name} if how == "ROLE" else {"OPTIONS": {"assume_role": name}}
        with pytest.raises(Exception, match="guest"):
            database.dump(cls)
        dump = database.dump(cls, **settings)
        database.psql("DELETE FROM t", postgres.admin)
        database.restore(dump, cls, **settings)
        assert database.state() == before
        postgres.psql("DROP TABLE t", database.name)
        database.restore(dump, cls, **settings)
        assert database.state() == before
        postgres.drop_database(database.name)
    finally:
        postgres.psql(f"DROP ROLE guest; DROP ROLE {quote(name)}")


# What is made of settings, without a server.


def test_secret_that_cannot_be_kept_is_refused():
    with pytest.raises(ConfigurationError, match="sslkey") as caught:
        Login.from_settings({"NAME": "a", "OPTIONS": {"sslpassword": "hunter2"}})
    assert "hunter2" not in str(caught.value)


def test_nothing_secret_is_shown_or_in_an_argument(tmp_path: Path):
    login = Login.from_settings({"NAME": "a", "USER": "u", "PASSWORD": "hunter2", "OPTIONS": {"password": "hunter3"}})
    assert "hunter" not in repr(login)
    assert "hunter" not in str(login.connection("x"))
    environment = login.environment(tmp_path)
    assert "hunter" not in str(environment)
    (file,) = tmp_path.iterdir()
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("*:*:*:*:hunter2\n", 0o600)
    assert environment == {"PGPASSFILE": str(file), "PGPASSWORD": ""}


def test_each_user_has_a_file(tmp_path: Path):
    login = Login.from_settings({"NAME": "a", "USER": "x" * 62 + "1", "PASSWORD": "1"})
    admin = login.as_user("x" * 62 + "2", "2")
    files = [Path(one.environment(tmp_path)["PGPASSFILE"]) for one in (login, admin, login)]
    assert [file.read_text()[-2] for file in files] == ["1", "2", "1"]
    assert admin.as_user("u", None).environment(tmp_path) == {}


def test_options_that_are_not_set_are_left_out(tmp_path: Path):
    options = {"sslmode": None, "connect_timeout": 5, "pool": True, "keepalives": 0, "keepalives_idle": None}
    login = Login.from_settings({"NAME": "a", "OPTIONS": options})
    assert login.environment(tmp_path) == {"PGCONNECT_TIMEOUT": "5"}
    assert login.connection("x") == ["--dbname=keepalives='0' dbname='a' application_name='x'", "--no-password"]
    assert not list(tmp_path.iterdir())


def test_password_in_the_environment_ends_a_wait_too(table: Database):
    """The restore's own sessions are ended by who logged in, whose password may be in ENV alone."""
    dump = table.dump()
    there = table.settings
    with psycopg.connect(
        host=there["HOST"], port=there["PORT"], dbname=there["NAME"], user=there["USER"], password=there["PASSWORD"]
    ) as other:
        for (name,) in other.execute("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables").fetchall():
            if name.startswith("public."):
                other.execute(f"LOCK TABLE {name} IN ACCESS SHARE MODE")
        with pytest.raises(DatabaseLockedError, match="The restore waited 1 s"):
            table.restore(dump, LOCK_TIMEOUT=1.0, PASSWORD="", ENV={"PGPASSWORD": there["PASSWORD"]})
