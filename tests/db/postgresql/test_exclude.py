"""EXCLUDE leaves out rows and nothing else, of the tables that are meant and of no others."""

from __future__ import annotations

import re

import pytest

from dbbackup.db.exceptions import DumpError
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from tests.requirements import requires
from tests.servers.postgresql import quote

pytestmark = requires("postgresql")

NAMES = [
    "my table",
    "-dash",
    "--table",
    'quo"te',
    "it's",
    "a.b",
    "Upper",
    "select",
    "star*",
    "what?",
    "br[a]cket",
    "dollar$",
    "new\nline",
    "pipe|d",
    "(group)",
    "ünï",
    "back\\slash",
    "comma,",
    "%s",
    "@x:y;z",
]
TABLES = """
    CREATE SCHEMA other; CREATE SCHEMA "s p";
    CREATE TABLE session (id int); CREATE TABLE other.session (id int); CREATE TABLE "s p".session (id int);
    CREATE TABLE log_2020 (id int); CREATE TABLE log_2021 (id int); CREATE TABLE other.log_1 (id int);
    CREATE TABLE logs (id int);
    INSERT INTO session VALUES (1); INSERT INTO other.session VALUES (1); INSERT INTO "s p".session VALUES (1);
    INSERT INTO log_2020 VALUES (1); INSERT INTO log_2021 VALUES (1); INSERT INTO other.log_1 VALUES (1);
    INSERT INTO logs VALUES (1);
"""
ALL = {"log_2020", "log_2021", "logs", "other.log_1", "other.session", "s p.session", "session"}


@pytest.fixture
def filled(database):
    database.psql(TABLES)
    return database


def with_rows(database, make_database, exclude, connector=PgDumpBinaryConnector):
    """Return the tables that have rows after a dump without some and a restore, once the schema is found equal."""
    target = make_database()
    target.restore(database.dump(connector, EXCLUDE=exclude), connector)
    schema, rows = target.state()
    assert schema == database.state()[0]
    shorter = (name.removeprefix("public.").replace('"', "") for name, (count, _) in rows.items() if count)
    return set(shorter)


@pytest.mark.parametrize("connector", [PgDumpBinaryConnector, PgDumpConnector])
def test_rows_are_left_out_and_nothing_else(filled, make_database, connector):
    exclude = ["log_????", "s p.session"]
    assert with_rows(filled, make_database, exclude, connector) == ALL - {"log_2020", "log_2021", "s p.session"}


def test_names_and_patterns_mean_tables_of_one_schema_or_of_all(filled):
    meant = [
        (["session"], {"session", "other.session", "s p.session"}),
        ("session", {"session", "other.session", "s p.session"}),
        (["public.session"], {"session"}),
        (["s p.session"], {"s p.session"}),
        (["log_*"], {"log_2020", "log_2021", "other.log_1"}),
        (["log_????"], {"log_2020", "log_2021"}),
        (["other.*"], {"other.session", "other.log_1"}),
        (["*.log_1", "public.log?"], {"other.log_1", "logs"}),
        (["*"], ALL),
    ]
    for exclude, without in meant:
        dump = filled.dump(PgDumpConnector, EXCLUDE=exclude).decode()
        copied = {
            table.removeprefix("public.").replace('"', "")
            for table in re.findall(r"^COPY (.+) \(id\)", dump, re.MULTILINE)
        }
        assert copied == ALL - without, exclude


def test_names_may_have_any_character(database):
    for name in [*NAMES, "kept"]:
        database.psql(f"CREATE TABLE {quote(name)} (t text); INSERT INTO {quote(name)} VALUES ('a row')")
    dump = database.dump(PgDumpConnector, EXCLUDE=NAMES)
    assert (dump.count(b"CREATE TABLE"), dump.count(b"a row")) == (len(NAMES) + 1, 1)


def test_table_of_exactly_that_name_goes_before_a_pattern(database):
    exact, fitting = ["star*", "what?", "br[a]cket"], ["stars", "whats", "bracket"]
    for table in exact + fitting:
        database.psql(f"CREATE TABLE {quote(table)} (t text); INSERT INTO {quote(table)} VALUES ('row of {table}')")
    dump = database.dump(PgDumpConnector, EXCLUDE=exact).decode()
    assert set(re.findall("^row of (.*)$", dump, re.MULTILINE)) == {*fitting}


def test_bracket_is_no_pattern(filled):
    with pytest.raises(DumpError, match=r"no table 'log\[s\]'"):
        filled.dump(EXCLUDE=["log[s]"])


def test_partitioned_table_stands_for_its_partitions(database, make_database):
    database.psql("""
        CREATE SCHEMA parts; CREATE TABLE sale (id int, kind text) PARTITION BY RANGE (id);
        CREATE TABLE parts.low PARTITION OF sale FOR VALUES FROM (0) TO (10);
        CREATE TABLE high PARTITION OF sale DEFAULT PARTITION BY LIST (kind);
        CREATE TABLE parts."high; a" PARTITION OF high FOR VALUES IN ('a');
        CREATE TABLE high_rest PARTITION OF high DEFAULT;
        INSERT INTO sale VALUES (1, 'a'), (11, 'a'), (12, 'b'); CREATE TABLE kept (id int); INSERT INTO kept VALUES (1);
    """)
    assert with_rows(database, make_database, ["sale"]) == {"kept"}
    assert with_rows(database, make_database, ["high"]) == {"kept", "sale", "parts.low"}


def test_child_of_a_table_that_is_left_out_keeps_its_own_rows(database, make_database):
    database.psql("CREATE TABLE base (id int); CREATE TABLE derived () INHERITS (base)")
    database.psql("INSERT INTO base VALUES (1); INSERT INTO derived VALUES (2)")
    target = make_database()
    target.restore(database.dump(EXCLUDE=["base"]))
    assert target.psql("TABLE base") == "2"


def test_materialized_view_is_filled_from_what_is_there(filled, make_database):
    filled.psql("CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM logs")
    target = make_database()
    target.restore(filled.dump(EXCLUDE=["logs"]))
    assert target.psql("TABLE counted") == "0"


def test_unknown_name_is_an_error_with_near_misses(filled):
    near = {"sesion": "session", "public.logz": "public.logs", "Session": "session", "log_20201": "log_2020"}
    for name, known in near.items():
        with pytest.raises(
            DumpError, match=f"EXCLUDE.*no table {re.escape(repr(name))}.*Did you mean.*'{re.escape(known)}'"
        ):
            filled.dump(EXCLUDE=["logs", name])


def test_every_unknown_name_is_named_at_once(filled):
    with pytest.raises(DumpError, match=r"no table 'sesion' or 'zzz_\*'\. Did you mean 'session'"):
        filled.dump(EXCLUDE=["sesion", "logs", "zzz_*"])


def test_name_that_nothing_is_near_to_is_an_error(database):
    with pytest.raises(DumpError, match="no table 'zzz'"):
        database.dump(EXCLUDE=["zzz"])


def test_setting_for_the_whole_database_holds_for_one_schema(filled):
    filled.psql("ALTER TABLE logs ADD PRIMARY KEY (id); CREATE TABLE log_detail (log int REFERENCES logs)")
    connector = filled.connector(PgDumpConnector, EXCLUDE=["logs", "log_1"], SCHEMAS=["other"])
    assert connector.preflight_dump() == ()
    with connector.create_dump() as dump:
        assert dump.read().count(b"\n1\n") == 1


def test_warns_of_a_table_that_others_refer_to(database):
    database.psql(
        "CREATE SCHEMA far; CREATE TABLE user_ (id int PRIMARY KEY); CREATE TABLE far.vote (u int REFERENCES user_)"
    )
    database.psql("CREATE TABLE own (id int PRIMARY KEY, parent int REFERENCES own)")
    (warning,) = database.connector(EXCLUDE=["user_", "own"]).preflight_dump()
    assert "user_" in warning
    assert "far.vote" in warning
    assert database.connector(EXCLUDE=["user_", "vote"]).preflight_dump() == ()


def test_command_leaves_out_what_it_is_told(store, make_database):
    database = make_database(alias="shop")
    database.psql(TABLES)
    database.psql('CREATE TABLE "my table" (id int PRIMARY KEY); INSERT INTO "my table" VALUES (1)')
    name = store.backup("-x", "my table,other.log_*")
    database.psql("DROP SCHEMA other CASCADE")
    assert store.run("dbrestore", "--noinput", "-i", name).error == ""
    counts = {table: count for table, (count, _) in database.state()[1].items()}
    assert counts == {
        'public."my table"': 0,
        "other.log_1": 0,
        **dict.fromkeys(['"s p".session', "other.session"], 1),
        **dict.fromkeys([f"public.{table}" for table in ("log_2020", "log_2021", "logs", "session")], 1),
    }


def test_command_warns_in_json_and_on_stderr(store, make_database):
    database = make_database(alias="shop")
    database.psql('CREATE TABLE "my table" (id int PRIMARY KEY); CREATE TABLE vote (u int REFERENCES "my table")')
    run = store.run("dbbackup", "--json", "-x", "my table")
    (warning,) = run.lines[0]["warnings"]
    assert "'my table'" in warning or "table my table" in warning
    assert warning in run.err
    assert "vote" in store.run("dbbackup", "-x", "my table").err


def test_command_refuses_an_unknown_name_and_stores_nothing(store, make_database):
    make_database(alias="shop").psql('CREATE TABLE "my table" (id int)')
    run = store.run("dbbackup", "-x", "my tabel")
    assert run.status == 1
    assert "'my tabel'" in run.error
    assert "Did you mean 'my table'" in run.error
    assert store.stored() == []
