"""What would make pg_dump fail halfway is said before anything runs, all of it at once."""

from __future__ import annotations

import pytest

from dbbackup.db.exceptions import DumpError
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from tests.requirements import requires
from tests.servers.postgresql import Role, quote

pytestmark = requires("postgresql")

TABLES = """
    CREATE SCHEMA "s p"; CREATE SCHEMA hidden;
    CREATE TABLE seen (id serial, t text); CREATE TABLE "no t" (id serial); CREATE TABLE "s p"."deep; t" (id int);
    CREATE TABLE hidden.t (id int GENERATED ALWAYS AS IDENTITY);
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM seen;
    CREATE TABLE parent (id int) PARTITION BY LIST (id); CREATE TABLE child PARTITION OF parent DEFAULT;
    CREATE VIEW viewed AS SELECT 1 AS one; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
    INSERT INTO seen (t) VALUES ('a'); GRANT USAGE ON SCHEMA "s p" TO readonly;
"""
GRANTS = """
    GRANT USAGE ON SCHEMA hidden, "s p" TO readonly;
    GRANT SELECT ON ALL TABLES IN SCHEMA public, hidden, "s p" TO readonly;
    GRANT SELECT ON ALL SEQUENCES IN SCHEMA public, hidden, "s p" TO readonly;
"""
SECURED = """
    CREATE TABLE forced (id int); ALTER TABLE forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE TABLE bound (id int); ALTER TABLE bound ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON bound USING (id > 1);
    INSERT INTO bound VALUES (1), (2); CREATE TABLE off (id int); ALTER TABLE off FORCE ROW LEVEL SECURITY;
"""


@pytest.fixture
def readonly(make_database, postgres):
    """Return a database of the owner's that a role without rights logs in to."""
    database = make_database(role=postgres.readonly)
    database.psql(TABLES)
    return database


def refusal(database, **settings):
    with pytest.raises(DumpError) as caught:
        database.connector(**settings).preflight_dump()
    return str(caught.value)


def test_every_missing_right_is_named_at_once(readonly):
    error = refusal(readonly)
    assert "as readonly" in error
    assert "no USAGE on schema hidden" in error
    for name in ("seen", "no t", "s p.deep; t", "hidden.t", "counted", "parent", "child"):
        assert name in error
    for sequence in ("seen_id_seq", "no t_id_seq", "hidden.t_id_seq"):
        assert sequence in error
    assert "GRANT USAGE" in error
    assert "GRANT SELECT" in error


def test_views_and_functions_need_no_rights(readonly):
    error = refusal(readonly)
    assert "viewed" not in error
    assert "f()" not in error


def test_what_is_granted_is_not_named(readonly):
    readonly.psql(GRANTS)
    readonly.psql('REVOKE SELECT ON "no t" FROM readonly')
    error = refusal(readonly)
    assert "no SELECT on no t (" in error
    assert "USAGE" not in error


def test_table_that_came_after_the_grants_is_named(readonly):
    readonly.psql(GRANTS)
    readonly.psql("CREATE TABLE later (id int)")
    assert "no SELECT on later (" in refusal(readonly)
    assert "ALTER DEFAULT PRIVILEGES" in refusal(readonly)


def test_many_names_are_counted(readonly):
    readonly.psql("; ".join(f"CREATE TABLE many_{number} (id int)" for number in range(30)))
    assert len(refusal(readonly)) < 800
    assert "more" in refusal(readonly)


def test_rights_outside_the_chosen_schemas_do_not_matter(readonly):
    readonly.psql('GRANT SELECT ON ALL TABLES IN SCHEMA "s p" TO readonly')
    assert readonly.connector(SCHEMAS=["s p"]).preflight_dump() == ()
    assert b"deep; t" in readonly.dump(PgDumpConnector, SCHEMAS=["s p"])
    assert "no SELECT on" in refusal(readonly, SCHEMAS=["public"])


@pytest.mark.parametrize("connector", [PgDumpBinaryConnector, PgDumpConnector])
def test_role_that_may_only_read_dumps_everything(readonly, make_database, connector):
    readonly.psql(GRANTS)
    readonly.psql("REFRESH MATERIALIZED VIEW counted")
    target = make_database()
    target.restore(readonly.dump(connector), connector)
    assert target.state() == readonly.state()


@pytest.fixture
def make_role(postgres):
    """Return what makes a login with a right; asked for before ``make_database``, it outlives the databases."""
    made: list[Role] = []

    def make(right):
        made.append(Role(f"role {len(made)} of a test", "x"))
        postgres.psql(f"CREATE ROLE {quote(made[-1].name)} LOGIN PASSWORD 'x' {right}")
        return made[-1]

    yield make
    for role in made:
        postgres.psql(f"DROP ROLE {quote(role.name)}")


def test_role_of_predefined_rights_dumps_everything(make_role, make_database):
    database = make_database(role=make_role("IN ROLE pg_read_all_data"))
    database.psql(TABLES)
    assert database.connector().preflight_dump() == ()
    assert b"COPY" in database.dump(PgDumpConnector)


def test_row_level_security_names_the_tables_that_it_binds(database):
    database.psql(SECURED)
    error = refusal(database)
    assert "row-level security would hide rows of forced (" in error
    assert "BYPASSRLS" in error
    assert "EXCLUDE" in error


def test_policies_bind_others_than_the_owner(make_database, postgres):
    database = make_database(role=postgres.readonly)
    database.psql(SECURED + "GRANT SELECT ON ALL TABLES IN SCHEMA public TO readonly")
    assert "would hide rows of bound, forced (" in refusal(database)


def test_rights_and_policies_are_named_together(make_database, postgres):
    database = make_database(role=postgres.readonly)
    database.psql(SECURED + "GRANT SELECT ON forced, bound TO readonly; CREATE SCHEMA hidden")
    error = refusal(database)
    for part in ("no USAGE on schema hidden", "no SELECT on off", "would hide rows of bound, forced"):
        assert part in error


def test_bound_table_can_be_left_out(database, make_database):
    database.psql(SECURED)
    target = make_database()
    target.restore(database.dump(EXCLUDE=["forced"]))
    assert target.psql("SELECT count(*) FROM bound") == "2"


def test_role_that_bypasses_policies_dumps_every_row(make_role, make_database):
    role = make_role("BYPASSRLS")
    database = make_database(role=role)
    database.psql(f"{SECURED} GRANT SELECT ON ALL TABLES IN SCHEMA public TO {quote(role.name)}")
    dump = database.dump(PgDumpConnector)
    assert b"\n1\n2\n" in dump


def test_command_stores_nothing_after_a_refusal(store, make_database, postgres):
    make_database(alias="shop", role=postgres.readonly).psql(TABLES)
    run = store.run("dbbackup", "-z")
    assert run.status == 1
    assert "no SELECT on" in run.error
    assert store.stored() == []
    assert "shop" not in store.run("listbackups").out
    assert [*store.tmp.iterdir()] == []


@requires("postgresql:newer")
def test_pg_dump_older_than_the_server_is_refused(make_database, postgres, newer_postgres):
    database = make_database(cluster=newer_postgres, DUMP_CMD=str(postgres.bin_dir / "pg_dump"))
    error = refusal(database)
    assert "17.10" in error
    assert str(postgres.bin_dir / "pg_dump") in error
    assert "postgresql-client-17" in error
    assert "DUMP_CMD" in error
