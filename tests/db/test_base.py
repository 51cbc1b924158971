"""The contract of every connector, and what connectors written for django-dbbackup rely on."""

from __future__ import annotations

import io
import re
from typing import Any, BinaryIO

import pytest

from dbbackup.db.base import BaseCommandDBConnector, BaseDBConnector
from dbbackup.exceptions import ConfigurationError
from dbbackup.streams import IteratorReader

SETTINGS = {"ENGINE": "some.engine", "NAME": "app", "PASSWORD": "hunter2", "HOST": ""}


class Connector(BaseDBConnector):
    """As an author would write one."""

    flavour: str = "plain"

    class Inner:
        pass

    def _create_dump(self) -> BinaryIO:
        return io.BytesIO(b"dump")

    def _restore_dump(self, dump: BinaryIO) -> None:
        assert dump.seekable()
        dump.seek(0)
        self.restored = dump.read()


def make(**settings: Any) -> Connector:
    return Connector("default", settings={**SETTINGS, **settings})


def test_settings_in_capitals_set_options():
    connector = make(EXTENSION="x", FLAVOUR="sour", EXCLUDE=["a", "b"], LOCK_TIMEOUT=5, flavour="not this")
    assert (connector.extension, connector.flavour, connector.exclude) == ("x", "sour", ("a", "b"))
    assert connector.lock_timeout == 5
    assert Connector.flavour == "plain"


def test_settings_set_nothing_but_options():
    connector = make(ACCEPTS_STREAM=True, ENGINE="e", DATABASE_NAME="x", CREATE_DUMP=1, INNER=1, IS_EXACT=True)
    assert connector.accepts_stream is False
    assert connector.database_name == connector.alias == "default"
    assert connector.create_dump().read() == b"dump"
    assert connector.Inner is Connector.Inner
    assert not connector.is_exact


@pytest.mark.parametrize(("value", "tables"), [(None, ()), ("one", ("one",)), (["a"], ("a",)), ((), ())])
def test_excluded_tables_take_any_form(value: Any, tables: tuple[str, ...]):
    assert make(EXCLUDE=value).exclude == tables


def test_keywords_set_attributes_as_in_django_dbbackup():
    connector = Connector("default", settings=SETTINGS, EXTENSION="sql", anything=5)
    assert connector.extension == "sql"
    assert connector.anything == 5  # type: ignore[attr-defined]


def test_settings_come_from_databases_by_default():
    connector = Connector()
    assert connector.alias == "default"
    assert connector.engine == "django.db.backends.sqlite3"
    assert connector.settings is connector.connection.settings_dict


def test_declared_options():
    assert Connector.options() == BaseDBConnector.options() | {"flavour"}
    assert {"extension", "exclude", "tmp_dir", "lock_timeout"} <= BaseDBConnector.options()
    assert {"dump_cmd", "restore_cmd", "dump_prefix", "env", "use_parent_env"} <= BaseCommandDBConnector.options()
    assert "accepts_stream" not in BaseCommandDBConnector.options()


def test_unknown_options_are_refused_by_name():
    Connector.refuse_unknown_options(["FLAVOUR", "NAME", "CONNECTOR", "CONN_MAX_AGE"], "the test")
    message = r"Connector does not have options: flavor, dump_cmd \(in the test\)\. Did you mean FLAVOUR\?"
    with pytest.raises(ConfigurationError, match=message):
        Connector.refuse_unknown_options(["FLAVOR", "DUMP_CMD"], "the test")


def test_flag_for_an_option_that_is_not_declared_is_refused():
    connector = make()
    connector.set_option("flavour", "sweet", "--flavour")
    assert connector.flavour == "sweet"
    with pytest.raises(ConfigurationError, match="Connector does not support --schema"):
        connector.set_option("schemas", ["s"], "--schema")


def test_missing_methods_are_named():
    connector = BaseDBConnector("default", settings=SETTINGS)
    with pytest.raises(NotImplementedError, match=r"must provide a _create_dump\(\) method"):
        connector.create_dump()
    with pytest.raises(NotImplementedError, match=r"must provide a _restore_dump\(\) method"):
        connector.restore_dump(io.BytesIO(b""))


def test_connector_of_another_gets_a_file_that_it_can_seek_in():
    connector = make()
    connector.restore_dump(IteratorReader([b"a", b"b"]))
    assert connector.restored == b"ab"


def test_connector_that_only_reads_gets_the_stream_itself():
    class Streaming(Connector):
        accepts_stream = True

        def _restore_dump(self, dump: BinaryIO) -> None:
            self.given = dump

    stream = io.BytesIO(b"x")
    connector = Streaming("default", settings=SETTINGS)
    connector.restore_dump(stream)
    assert connector.given is stream


def test_defaults_do_no_harm():
    connector = make()
    connector.check_dump(b"anything")
    connector.verify_dump(io.BytesIO(b"anything"))
    connector.preflight_dump()
    connector.preflight_restore()
    assert connector.table_counts() == {}
    assert connector.server_version() is None
    assert connector.tool_versions() == {}
    assert connector.temporary_bytes(100) == 0
    assert connector.restore_by_hand == "> default.restored.dump"
    assert connector.temporary_folder is None
    assert connector.secrets() == ("hunter2",)
    assert make(PASSWORD="").secrets() == ()


def test_file_name_as_in_django_dbbackup():
    name = make().generate_filename("web1")
    assert re.fullmatch(r"default-web1-\d{4}-\d\d-\d\d-\d{6}\.dump", name)
    assert make().generate_filename().startswith("default-")
