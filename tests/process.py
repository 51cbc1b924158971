"""A Django project in a folder of its own, run as child processes: what the program looks like from outside."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from tests.servers.mariadb import MariaDB
from tests.servers.mongodb import MongoDB
from tests.servers.postgresql import Cluster

CHECKOUT = Path(__file__).parents[1]

SETTINGS = """
from pathlib import Path

ROOT = Path({root!r})
SECRET_KEY = "a key"
USE_TZ = True
INSTALLED_APPS = ["dbbackup"]
DATABASES = {{"default": {database!r}}}
STORAGES = {{
    "default": {{"BACKEND": "django.core.files.storage.FileSystemStorage"}},
    "dbbackup": {{
        "BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {{"location": ROOT / "backups"}},
    }},
}}
DBBACKUP_TMP_DIR = ROOT / "tmp"
DBBACKUP_HOSTNAME = "testhost"
"""


class BaseProject:
    """A project in ``root`` with one database, of which ``database`` is the entry of DATABASES."""

    def __init__(self, root: Path, database: Mapping[str, Any]) -> None:
        self.root = root
        self.backups = root / "backups"
        self.tmp = root / "tmp"
        self.backups.mkdir()
        self.tmp.mkdir()
        (root / "project_settings.py").write_text(SETTINGS.format(root=str(root), database=database))
        self.env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]),
            "DJANGO_SETTINGS_MODULE": "project_settings",
        }

    def configure(self, *lines: str) -> None:
        """Add lines to the settings."""
        with (self.root / "project_settings.py").open("a") as file:
            file.write("\n".join(["", *lines, ""]))

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "django", *args]


class Project(BaseProject):
    """A project on SQLite in ``root``."""

    def __init__(self, root: Path) -> None:
        self.path = root / "db.sqlite3"
        super().__init__(root, {"ENGINE": "django.db.backends.sqlite3", "NAME": str(self.path)})
        self.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT)")
        self.execute("INSERT INTO thing (name) VALUES ('nut'), ('bolt'), ('Schräubchen')")

    def execute(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def grow(self, rows: int) -> None:
        """Fill the table with rows of about 100 bytes that do not compress well."""
        self.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
            " INSERT INTO thing (name) SELECT hex(randomblob(50)) FROM n"
        )

    def rows(self) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return connection.execute("SELECT id, name FROM thing ORDER BY id").fetchall()


class PostgresqlProject(BaseProject):
    """A project on a PostgreSQL server, with a database of its own."""

    def __init__(self, root: Path, cluster: Cluster, name: str) -> None:
        super().__init__(root, cluster.settings(name))
        self.cluster = cluster
        self.name = name
        cluster.create_database(name)
        self.psql("CREATE TABLE thing (id int PRIMARY KEY, name text); CREATE TABLE z_last (id int)")

    def use(self, connector: str, **options: Any) -> None:
        """Have a connector of this name, with these settings."""
        settings = {"CONNECTOR": f"dbbackup.db.postgresql.{connector}", **options}
        self.configure(f'DBBACKUP_CONNECTORS = {{"default": {settings!r}}}')

    def psql(self, sql: str) -> str:
        return self.cluster.psql(sql, self.name, self.cluster.owner)

    def grow(self, rows: int) -> None:
        """Fill the table with rows of about 100 bytes that do not compress well."""
        self.psql(
            "INSERT INTO thing SELECT i, md5(i::text) || md5((-i)::text) || md5((i + 0.5)::text)"
            f" FROM generate_series(1, {rows}) AS i; INSERT INTO z_last VALUES (1)"
        )

    def change(self) -> None:
        """Make the database another one than that which was backed up."""
        self.psql("DELETE FROM thing WHERE id % 2 = 0; UPDATE z_last SET id = 2; CREATE TABLE newer (id int)")

    def state(self) -> tuple[str, dict[str, tuple[int, str]]]:
        """Return everything: the schema as pg_dump shows it, and a digest of each table's rows."""
        return self.cluster.dump(self.name, "--schema-only"), self.cluster.digest(self.name)

    def sessions(self) -> int:
        """Return how many sessions the programs of backups and restores have on the server."""
        found = "FROM pg_stat_activity WHERE application_name LIKE 'dbbackup%' AND datname = current_database()"
        return int(self.cluster.psql(f"SELECT count(*) {found}", self.name))


class MariadbProject(BaseProject):
    """A project on a MariaDB server, with a database of its own."""

    def __init__(self, root: Path, server: MariaDB, name: str) -> None:
        super().__init__(root, server.settings(name))
        self.env["PYTHONPATH"] += os.pathsep + str(CHECKOUT)
        self.configure("from tests import mysql_driver", "mysql_driver.install()")
        self.server = server
        self.name = name
        server.create_database(name)
        self.sql("CREATE TABLE thing (id int PRIMARY KEY, name text); CREATE TABLE z_last (id int)")

    def use(self, connector: str, **options: Any) -> None:
        """Have a connector of this name, with these settings."""
        settings = {"CONNECTOR": f"dbbackup.db.mysql.{connector}", **options}
        self.configure(f'DBBACKUP_CONNECTORS = {{"default": {settings!r}}}')

    def sql(self, text: str) -> str:
        return self.server.sql(text, self.name, self.server.owner)

    def grow(self, rows: int) -> None:
        """Fill the table with rows of about 100 bytes that do not compress well."""
        # Without a bound a recursive query ends at a thousand rows.
        self.sql(
            f"SET max_recursive_iterations = {rows + 1};"
            " INSERT INTO thing WITH RECURSIVE n (i) AS"
            f" (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
            " SELECT i, CONCAT(MD5(i), MD5(-i), MD5(i + 0.5)) FROM n; INSERT INTO z_last VALUES (1)"
        )

    def change(self) -> None:
        """Make the database another one than that which was backed up."""
        self.sql("DELETE FROM thing WHERE id % 2 = 0; UPDATE z_last SET id = 2; CREATE TABLE newer (id int)")

    def state(self) -> Any:
        """Return everything: how the database and what it holds are made, and a digest of each table's rows."""
        return self.server.state(self.name)

    def sessions(self) -> int:
        """Return how many sessions the owner has on the server, this question's not among them."""
        return int(self.server.sql("SELECT count(*) FROM information_schema.processlist WHERE user = 'owner'"))


class MongodbProject(BaseProject):
    """A project on a MongoDB server, with a database of its own and the tools in the folder ``tools``."""

    def __init__(self, root: Path, server: MongoDB, name: str, tools: Path) -> None:
        super().__init__(root, server.settings(name))
        self.env["PATH"] = f"{tools}{os.pathsep}{self.env['PATH']}"
        self.env["PYTHONPATH"] += os.pathsep + str(CHECKOUT)
        self.configure("from tests import mongodb_engine", "mongodb_engine.install()")
        self.server = server
        self.name = name
        with self.server.client() as client:
            client[name].create_collection("thing")
            client[name]["z_last"].create_index("number", unique=True)

    def use(self, connector: str, **options: Any) -> None:
        """Have a connector of this name, with these settings."""
        settings = {"CONNECTOR": f"dbbackup.db.mongodb.{connector}", **options}
        self.configure(f'DBBACKUP_CONNECTORS = {{"default": {settings!r}}}')

    def grow(self, rows: int) -> None:
        """Fill a collection with documents of about 100 bytes that do not compress well."""
        random = Random(rows)
        with self.server.client() as client:
            database = client[self.name]
            database["thing"].insert_many({"_id": i, "name": random.randbytes(45).hex()} for i in range(1, rows + 1))
            database["z_last"].insert_one({"_id": 1, "number": 1})

    def change(self) -> None:
        """Make the database another one than that which was backed up."""
        with self.server.client() as client:
            database = client[self.name]
            database["thing"].delete_many({"_id": {"$mod": [2, 0]}})
            database["z_last"].update_one({"_id": 1}, {"$set": {"number": 2}})
            database.create_collection("newer")

    def state(self) -> Any:
        """Return everything: how each collection is made, and a digest of its documents."""
        return self.server.state(self.name)

    def sessions(self) -> int:
        """Return how many connections the owner has on the server."""
        return self.server.sessions(self.server.owner)


def manage(project: BaseProject, *args: str, text: bool = True, **options: Any) -> subprocess.CompletedProcess[Any]:
    """Run a command of the project to its end."""
    return subprocess.run(
        project.command(*args), env=project.env, capture_output=True, text=text, timeout=300, check=False, **options
    )


def signalled(
    project: BaseProject, after: float, how: signal.Signals, *args: str
) -> subprocess.CompletedProcess[str] | None:
    """Run a command and send it a signal that many seconds after it began its work; None if it ended by itself."""
    before = set(project.tmp.iterdir())
    process = subprocess.Popen(
        project.command(*args), env=project.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        # Until then it is Python starting.
        while process.poll() is None and not set(project.tmp.iterdir()) - before:
            time.sleep(0.005)
        try:
            process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            process.send_signal(how)
            out, err = process.communicate(timeout=60)
            return subprocess.CompletedProcess(args, process.returncode, out, err)
    return None
