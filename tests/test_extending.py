"""A connector and a codec that are not in the package: one file and one line of settings each."""

from __future__ import annotations

import io

import pytest

from dbbackup.codecs.base import COMPRESSION, Codec
from dbbackup.db.base import BaseCommandDBConnector, BaseDBConnector
from dbbackup.streams import IteratorReader

MEMORY: dict[str, bytes] = {}


class MemoryConnector(BaseDBConnector):
    """A database that is one value."""

    extension = "mem"
    flavour = "vanilla"

    def _create_dump(self):
        return io.BytesIO(MEMORY[self.database_name])

    def _restore_dump(self, dump):
        dump.seek(0)
        MEMORY[self.database_name] = b"".join(dump)


class OwnArguments(MemoryConnector):
    """An older author's: its own arguments, a file that is not rewound, and changes to what it was given."""

    def __init__(self, database_name=None):
        super().__init__(database_name)
        self.host = self.settings["HOST"]

    def _create_dump(self):
        file = io.BytesIO()
        file.write(MEMORY[self.database_name] + self.host.encode())
        return file


class CatConnector(BaseCommandDBConnector):
    """A database that is a file, dumped and restored by programs, the way authors write it."""

    dump_cmd = "cat"

    def _create_dump(self):
        stdout, _stderr = self.run_command(f"{self.dump_cmd} '{self.settings['NAME']}'", env=self.dump_env)
        return stdout

    def _restore_dump(self, dump):
        self.run_command(["tee", self.settings["NAME"]], stdin=dump, env=self.restore_env)


class XorCodec(Codec):
    """Turns every bit around."""

    name = "xor"
    suffix = ".xor"
    kind = COMPRESSION
    magic = (b"ROX",)

    def encode(self, source):
        return IteratorReader(self._turned(source, b"ROX"))

    def decode(self, source):
        assert source.read(3) == b"ROX"
        return IteratorReader(self._turned(source, b""))

    def _turned(self, source, head):
        with source:
            yield head
            while chunk := source.read(1000):
                yield bytes(byte ^ 255 for byte in chunk)


@pytest.fixture
def memory(shop, databases):
    databases("memory", ENGINE="django.db.backends.dummy", NAME="x", USER="somebody")
    shop.settings.DBBACKUP_DATABASES = ["memory"]
    shop.settings.DBBACKUP_CONNECTOR_MAPPING = {"django.db.backends.dummy": "tests.test_extending.MemoryConnector"}
    MEMORY["memory"] = b"line 1\nline 2\n" * 1000
    return shop


def test_connector_by_mapping(memory):
    before = MEMORY["memory"]
    name = memory.backup("-z")
    assert name.endswith(".mem.gz")
    MEMORY["memory"] = b""
    assert memory.run("verifybackups").status == 0
    assert memory.run("dbrestore", "--noinput").status == 0
    assert MEMORY["memory"] == before


def test_connector_with_arguments_of_its_own(memory):
    memory.settings.DBBACKUP_CONNECTOR_MAPPING = {"django.db.backends.dummy": "tests.test_extending.OwnArguments"}
    memory.settings.DBBACKUP_CONNECTORS = {"memory": {"HOST": "replica"}}
    name = memory.backup()
    assert (memory.folder / name).read_bytes().endswith(b"line 2\nreplica")


def test_empty_dump_is_no_backup(memory):
    MEMORY["memory"] = b""
    run = memory.run("dbbackup")
    assert run.status == 1
    assert "empty" in run.error
    assert memory.stored() == []


def test_options_of_one_connector_are_not_the_next_one_s():
    CatConnector("default", settings={}).dump_env["SECRET"] = "x"
    assert "SECRET" not in CatConnector("default", settings={}).dump_env


def test_options_are_those_the_class_declares(memory):
    memory.settings.DBBACKUP_CONNECTORS = {"memory": {"FLAVOUR": "mint", "EXTENSION": "bin", "USER": "backup"}}
    assert memory.backup().endswith(".bin")
    memory.settings.DBBACKUP_CONNECTORS = {"memory": {"FLAVOR": "mint"}}
    run = memory.run("dbbackup")
    assert "MemoryConnector does not have options: flavor" in run.error
    assert "FLAVOUR" in run.error


def test_connector_of_one_alias(shop):
    shop.settings.DBBACKUP_CONNECTORS = {"shop": {"CONNECTOR": "tests.test_extending.CatConnector"}}
    name = shop.backup()
    assert name.endswith(".dump")
    before = shop.rows()
    shop.execute("DELETE FROM thing")
    assert shop.run("dbrestore", "--noinput").status == 0
    assert shop.rows() == before
    shop.settings.DBBACKUP_CONNECTORS = {}
    assert "CatConnector" in shop.run("dbrestore", "--noinput", "-i", name).error


def test_failing_program_is_quoted(shop):
    options = {"CONNECTOR": "tests.test_extending.CatConnector"}
    shop.settings.DBBACKUP_CONNECTORS = {"shop": {**options, "DUMP_CMD": "ls -l"}}
    shop.path.unlink()
    run = shop.run("dbbackup")
    assert run.status == 1
    assert "No such file or directory" in run.error
    shop.settings.DBBACKUP_CONNECTORS = {"shop": {**options, "DUMP_CMD": "no-such-program"}}
    assert "no-such-program" in shop.run("dbbackup").error


def test_codec_by_setting(shop):
    shop.settings.DBBACKUP_CODECS = {"xor": "tests.test_extending.XorCodec"}
    name = shop.backup("--compress", "xor")
    assert name.endswith(".sqlite3.xor")
    before = shop.rows()
    shop.execute("DELETE FROM thing")
    assert shop.run("verifybackups").status == 0
    (shop.folder / f"{name}.metadata").unlink()
    assert shop.run("dbrestore", "--noinput").status == 0
    assert shop.rows() == before
