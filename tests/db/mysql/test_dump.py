"""What a dump has and has not, and why one is refused before anything runs."""

from __future__ import annotations

import re

import pytest

from dbbackup.db.exceptions import ConnectorError, DumpError
from tests.db.mysql.everything import both_servers, fill, programs, state
from tests.requirements import requires
from tests.servers.mariadb import quote

pytestmark = requires("mariadb")

NAMES = ["my table", "-dash", 'quo"te', "it's", "a.b", "Upper", "select", "star*", "what?", "br[a]cket", "dollar$",
         "new\nline", "per%cent", "back`tick", "back\\slash", "ünï", "a,b"]  # fmt: skip
OBJECTS = """
    CREATE TABLE t (i int); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT i FROM t;
    CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.i = 2;
    CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DO DELETE FROM t;
    CREATE FUNCTION f() RETURNS int RETURN 1; CREATE PROCEDURE p() SELECT 1;
"""
NEEDED = ["SELECT", "SHOW VIEW", "TRIGGER", "EVENT"]
ROLE = "dumper of the tests"


@pytest.fixture
def make(request, make_database, server):
    """Return what makes a database on the server of the test; ``user`` is who dumps it."""
    running = request.getfixturevalue(server)

    def make(script="", user=None, **settings):
        database = make_database(server=running, user=user and getattr(running, user), **programs(running), **settings)
        fill(database, script)
        return database

    return make


@pytest.fixture
def of_readonly(make):
    """Return a database of the owner's that a user without rights dumps; ``mysql.proc`` is hidden again at the end."""
    database = make(OBJECTS, "readonly")
    yield database
    if "proc" in database.server.sql("SHOW GRANTS FOR readonly"):
        database.server.sql("REVOKE SELECT ON mysql.proc FROM readonly")


def refusal(database, **settings):
    with pytest.raises(DumpError) as caught:
        database.connector(**settings).preflight_dump()
    return str(caught.value)


def cures(error):
    """Return the GRANTs that an error asks for."""
    return re.findall(r"\((GRANT .+?'@'%')\)", error)


@both_servers
def test_empty_database_is_dumped_and_restored(make):
    source, target = make(), make("CREATE TABLE t (i int)")
    target.restore(source.dump(), EXACT=True)
    assert state(target) == state(source)


@both_servers
def test_every_missing_right_is_granted_by_what_the_error_says(of_readonly):
    of_readonly.server.grant("CREATE TEMPORARY TABLES", of_readonly.name, of_readonly.server.readonly)
    error = refusal(of_readonly)
    assert "as readonly@%" in error
    assert [f"GRANT {', '.join(NEEDED)} ON"] == [cure.partition(" ON")[0] + " ON" for cure in cures(error)][:1]
    for cure in cures(error):
        of_readonly.server.sql(cure)
    after = of_readonly.connector().preflight_dump()
    assert list(after) == []
    assert len(re.findall(rb"(?:FUNCTION|PROCEDURE|EVENT) `.`|TRIGGER r", of_readonly.dump())) == 4


@pytest.mark.parametrize("right", NEEDED)
@both_servers
def test_one_missing_right_is_named_alone(of_readonly, right):
    server, others = of_readonly.server, [other for other in NEEDED if other != right]
    server.grant(", ".join([*others, "EXECUTE"]), of_readonly.name, server.readonly)
    of_readonly.sql("DROP FUNCTION f; DROP PROCEDURE p")
    error = refusal(of_readonly)
    assert cures(error) == [f"GRANT {right} ON {quote(of_readonly.name)}.* TO 'readonly'@'%'"]
    server.sql(cures(error)[0])
    dump = of_readonly.dump()
    for made in (rb"INSERT INTO `t`", rb"VIEW `v`", rb"TRIGGER `?r`?", rb"EVENT `e`"):
        assert re.search(made, dump), made


@both_servers
def test_unseen_routines_are_missed(of_readonly):
    server = of_readonly.server
    server.grant(", ".join(NEEDED), of_readonly.name, server.readonly)
    error = refusal(of_readonly)
    assert "routines would be left out in silence" in error
    (cure,) = cures(error)
    server.sql(cure)
    dump = of_readonly.dump()
    assert re.search(rb"FUNCTION `f`", dump)
    assert re.search(rb"PROCEDURE `p`", dump)


@both_servers
def test_routines_whose_text_is_hidden_are_named(of_readonly):
    server = of_readonly.server
    server.grant(", ".join([*NEEDED, "EXECUTE"]), of_readonly.name, server.readonly)
    error = refusal(of_readonly)
    assert "the text of" in error
    assert "function `f`" in error
    assert "procedure `p`" in error
    (cure,) = cures(error)
    assert ("SHOW CREATE ROUTINE" in cure) is (server.version >= (11, 3))
    server.sql(cure)
    target = of_readonly.server.owner
    assert b"RETURN 1" in of_readonly.dump()
    assert target.name.encode() in of_readonly.dump()


@both_servers
def test_rights_through_a_role_count(of_readonly):
    server = of_readonly.server
    of_readonly.sql("DROP FUNCTION f; DROP PROCEDURE p")
    here = f"{quote(of_readonly.name)}.*"
    server.sql(f"CREATE ROLE {quote(ROLE)}; GRANT {', '.join(NEEDED)}, EXECUTE ON {here} TO {quote(ROLE)};")
    try:
        server.sql(f"GRANT {quote(ROLE)} TO readonly")
        # A role that is not active gives nothing.
        with pytest.raises(ConnectorError):
            of_readonly.dump()
        server.sql(f"SET DEFAULT ROLE {quote(ROLE)} FOR readonly")
        assert b"VIEW `v`" in of_readonly.dump()
    finally:
        server.sql(f"DROP ROLE {quote(ROLE)}")


@pytest.mark.parametrize("granted", ["te\\_st%", "te_st%", "%", "te\\_st wild"])
@both_servers
def test_rights_by_a_wildcard_count(request, make_database, server, granted):
    running = request.getfixturevalue(server)
    database = make_database("te_st wild", server=running, user=running.readonly, **programs(running))
    fill(database, "CREATE TABLE t (i int); CREATE VIEW v AS SELECT i FROM t")
    try:
        running.sql(f"GRANT {', '.join(NEEDED)}, EXECUTE ON `{granted}`.* TO readonly")
        assert b"VIEW `v`" in database.dump()
    finally:
        running.sql(f"REVOKE ALL ON `{granted}`.* FROM readonly")


@pytest.mark.parametrize("granted", ["te\\_xt%", "te_s", "te\\%"])
def test_rights_by_a_wildcard_that_does_not_fit_do_not_count(make_database, mariadb, granted):
    database = make_database("te_st wild", user=mariadb.readonly)
    try:
        mariadb.sql(f"GRANT ALL ON `{granted}`.* TO readonly")
        mariadb.grant("SELECT", database.name, mariadb.readonly)
        assert "GRANT SHOW VIEW, TRIGGER, EVENT ON" in refusal(database)
    finally:
        mariadb.sql(f"REVOKE ALL ON `{granted}`.* FROM readonly")


@both_servers
def test_broken_view_is_named_and_may_be_left_out(make):
    database = make(
        "CREATE TABLE t (i int); CREATE VIEW `a b` AS SELECT i FROM t; DROP TABLE t; CREATE TABLE kept (i int)"
    )
    error = refusal(database)
    assert "view `a b` refers to what is not there" in error
    assert "EXCLUDE" in error
    dump = database.dump(EXCLUDE=["a b"])
    assert (b"CREATE TABLE `kept`" in dump, b"`a b`" in dump) == (True, False)


@both_servers
def test_event_with_two_semicolons_is_refused(make):
    # mariadb-dump does not end when it meets one.
    database = make("CREATE TABLE t (i int)")
    fill(database, "CREATE EVENT `e 1` ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DO SET @a = ';;'")
    assert "event `e 1`" in refusal(database)


@both_servers
def test_excluded_tables_of_any_name_are_left_out(make):
    tables = "; ".join(
        f"CREATE TABLE {quote(name)} (t text); INSERT INTO {quote(name)} VALUES ('a row')" for name in NAMES
    )
    database = make(f"{tables}; CREATE TABLE kept (t text); INSERT INTO kept VALUES ('a row')")
    dump = database.dump(EXCLUDE=NAMES)
    assert (dump.count(b"CREATE TABLE"), dump.count(b"a row")) == (1, 1)
    for name in NAMES:
        assert database.dump(EXCLUDE=[name]).count(b"a row") == len(NAMES), name


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (["log_?"], {"log", "log_10", "logs", "view"}),
        (["log*"], {"view"}),
        (["log_1", "v*"], {"log", "log_10", "log_2", "logs"}),
        (["log_*", "lo?"], {"logs", "view"}),
        ("log", {"log_1", "log_10", "log_2", "logs", "view"}),
    ],
)
def test_patterns_mean_what_fits_them(database, exclude, left):
    tables = ["log", "log_1", "log_10", "log_2", "logs"]
    fill(database, "; ".join(f"CREATE TABLE {name} (i int)" for name in tables) + "; CREATE VIEW view AS SELECT 1 AS i")
    dump = database.dump(EXCLUDE=exclude).decode()
    assert set(re.findall(r"DROP (?:TABLE|VIEW) IF EXISTS `(\w+)`", dump)) == left


def test_exact_name_goes_before_a_pattern_and_may_have_the_name_of_the_database(database):
    fill(database, "CREATE TABLE `star*` (i int); CREATE TABLE stars (i int); CREATE TABLE starts (i int)")
    dump = database.dump(EXCLUDE=["star*", f"{database.name}.starts"]).decode()
    assert set(re.findall(r"CREATE TABLE `(.*)`", dump)) == {"stars"}


def test_unknown_name_is_an_error_with_a_hint(database):
    fill(database, "CREATE TABLE session (i int); CREATE TABLE `my table` (i int)")
    with pytest.raises(DumpError, match=r"EXCLUDE.*no table 'sesion' or 'zzz\*'\. Did you mean 'session'"):
        database.dump(EXCLUDE=["my table", "sesion", "zzz*"])


def test_table_that_others_refer_to_is_warned_of(database):
    fill(
        database,
        "CREATE TABLE `u r` (i int PRIMARY KEY); CREATE TABLE own (i int PRIMARY KEY, p int REFERENCES own (i));"
        "CREATE TABLE vote (u int, FOREIGN KEY (u) REFERENCES `u r` (i))",
    )
    (warning,) = database.connector(EXCLUDE=["u r", "own"]).preflight_dump()
    assert "`u r`" in warning
    assert "`vote`" in warning
    assert list(database.connector(EXCLUDE=["u r", "vote"]).preflight_dump()) == []


def test_excluded_table_stays_at_a_restore(store, make_database):
    database = make_database(alias="shop")
    fill(database, "CREATE TABLE a (i int); INSERT INTO a VALUES (1); CREATE TABLE `my table` (i int)")
    store.backup("-x", "my table")
    fill(database, "INSERT INTO `my table` VALUES (7); DELETE FROM a")
    assert store.run("dbrestore", "--noinput", "--exact").error == ""
    assert (database.sql("SELECT i FROM a"), database.sql("SELECT i FROM `my table`")) == ("1", "7")
