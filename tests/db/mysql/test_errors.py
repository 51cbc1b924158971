"""What is quoted of the programs' errors, and the advice that goes with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbbackup.db.exceptions import CommandConnectorError, ConnectorError, RestoreError
from dbbackup.db.mysql.errors import advice, is_gone, is_transient, last_words
from dbbackup.db.watching import NoAnswer
from tests.db.mysql.conftest import Database, MakeDatabase
from tests.requirements import requires
from tests.servers.mariadb import MariaDB

DENIED = (
    "mariadb-dump: Got error: 1045: \"Access denied for user 'u'@'h' (using password: YES)\" when trying to connect"
)
BROKEN = (
    "mariadb-dump: Got error: 1356: \"View 'p.broken' references invalid table(s) or column(s) or function(s) or "
    'definer/invoker of view lack rights to use them" when using LOCK TABLES'
)
DASHES = "--------------"
OLD_NAME = "mysql: Deprecated program name. It will be removed in a future release, use '/opt/mariadb' instead"
INSECURE = "mysql: [Warning] Using a password on the command line interface can be insecure."
MISSING = "ERROR 1146 (42S02) at line 3: Table 'p.warnings' doesn't exist"
PIPE = "mariadb-dump: Got errno 32 on write"
# What programs print, and which of the lines is the one to quote.
OUTPUTS = {
    "statement": ([DASHES, "INSERT INTO u VALUES (1, 'secret')", DASHES, "", MISSING], -1),
    "statement of lines": (
        [DASHES, "INSERT (1, 'a", "ERROR 1045 (28000): no", "------", "')", DASHES, "", MISSING],
        -1,
    ),
    "two statements": ([DASHES, "INSERT 1", DASHES, "", DENIED, DASHES, "INSERT 2", DASHES, "", MISSING], -1),
    "end of a large statement": (["'a secret row'),(2, 'another')", DASHES, "", MISSING], -1),
    "sandbox": (["ERROR at line 1: Not allowed in the sandbox mode"], 0),
    "dump": ([DENIED], 0),
    "old name of a newer program": ([OLD_NAME, DENIED], 1),
    "old name after": ([DENIED, f"/opt/{OLD_NAME}"], 0),
    "old name alone": ([f"/opt/{OLD_NAME}", "Segmentation fault"], 1),
    "warning of MySQL's before": ([INSECURE, "mysqldump: Error: 'Access denied' when trying to dump", DENIED], 2),
    "warning after": ([DENIED, "WARNING: no verification of server certificate will be done."], 0),
    "only a warning": ([INSECURE], 0),
    "table of warnings": ([INSECURE, "gzip: a word of its own", MISSING], 2),
    "no reader": (["gzip: /full/disk: No space left on device", PIPE], 0),
    "no reader, twice": (["cat: write error: Broken pipe", "zstd: no memory", PIPE], 1),
    "only no reader": ([PIPE], 0),
    "unknown option": (["/usr/bin/mariadb-dump: unknown variable 'nonsense=x'"], 0),
    "unknown option of MySQL's": ([INSECURE, "mysqldump: [ERROR] unknown variable 'x=1'."], 1),
    "nothing": ([""], 0),
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_last_words(case: str):
    lines, quoted = OUTPUTS[case]
    assert last_words("\n".join([*lines, ""])).strip() == lines[quoted]


CONNECT = "Can't connect to"
QUOTE = r"Access denied for user 'owner'@'%' to database 'it\'s'"
SQL_1227 = "Access denied; you need (at least one of) the SUPER, SET USER privilege(s) for this operation"
ADVICE = {
    "ERROR 1045 (28000): Access denied for user 'u'@'h' (using password: NO)": "PASSWORD",
    DENIED: "PASSWORD",
    "ERROR 1044 (42000): Access denied for user 'owner'@'%' to database 'nosuch'": "SHOW GRANTS",
    "ERROR 1049 (42000): Unknown database 'nosuch'": "CREATE DATABASE",
    f"ERROR 2002 (HY000): {CONNECT} server on '127.0.0.1' (115)": "HOST, PORT",
    f"ERROR 2002 (HY000): {CONNECT} local server through socket '/x (1045)' (2)": "HOST, PORT",
    f"ERROR 2003 (HY000): {CONNECT} MySQL server on '127.0.0.1:3306' (111)": "HOST, PORT",
    f"mysqldump: Got error: 2003: {CONNECT} MySQL server on 'h:1' (111) when trying to connect": "HOST, PORT",
    "ERROR 2005 (HY000): Unknown server host 'no.such.invalid' (-2)": "HOST, PORT",
    "ERROR 2026 (HY000): TLS/SSL error: no certificate or crl found": "OPTIONS['ssl']",
    "ERROR 2026 (HY000): TLS/SSL error: The certificate is NOT trusted. The certificate issuer is unknown.": "TLS",
    "ERROR 2061 (HY000): Authentication plugin 'x' reported error: Authentication requires secure connection.": "TLS",
    "ERROR 2059 (HY000): Authentication plugin 'caching_sha2_password' cannot be loaded: x.so": "flavour",
    f"ERROR 1227 (42000) at line 1: {SQL_1227}": "STRIP_DEFINER",
    "ERROR 1273 (HY000) at line 1: Unknown collation: 'utf8mb4_0900_ai_ci'": "COLLATIONS",
    "ERROR 1153 (08S01) at line 1: Got a packet bigger than 'max_allowed_packet' bytes": "Raise max",
    "mysqldump: Error 2020: Got packet bigger than 'max_allowed_packet' bytes when dumping table `t`": "Raise max",
    "mysqldump: Got error: 1449: The user specified as a definer ('x'@'%') does not exist when using L": "DEFINER",
    BROKEN: "EXCLUDE",
    "mysqldump: Couldn't execute 'SHOW FIELDS FROM `v`': View 'p.v' references invalid (1356)": "EXCLUDE",
    "mysqldump: Couldn't execute 'SELECT \"(1045)\"': Table 'p.v' is full (1114)": "no room",
    "mariadb-dump: owner has insufficient privileges to SHOW CREATE PROCEDURE `adm`!": "SHOW CREATE ROUTINE",
    f'mariadb-dump: Got error: 1044: "{QUOTE}" when selecting the database': "backslash or a line break in its name",
}


@pytest.mark.parametrize("number", range(len(ADVICE)))
def test_advice(number: int):
    words, part = list(ADVICE.items())[number]
    assert part in advice(f"{words}\n")


@pytest.mark.parametrize(
    "stderr",
    [
        "",
        "gpg: packet(1045) with unknown version\nage: no\n",
        "ERROR 1062 (23000) at line 2: Duplicate entry '(1045)' for key 'PRIMARY'\n",
        "ERROR 1366 (22007) at line 1: Incorrect integer value: 'ERROR 1045 ' for column `p`.`u`.`a` at row (1045)\n",
        "ERROR 1064 (42000) at line 1: You have an error in your SQL syntax near '(1045)'\n",
    ],
    ids=["nothing", "another program", "value of a row", "value that looks like an error", "statement"],
)  # fmt: skip
def test_no_advice_from_numbers_that_are_no_errors(stderr: str):
    assert "PASSWORD" not in advice(stderr)
    assert not is_transient(stderr.replace("1045", "2013"))


@pytest.mark.parametrize(
    ("words", "transient", "gone"),
    [
        ("mariadb-dump: Error 2013: Lost connection to server during query when dumping table `t`", True, True),
        ("mysqldump: Error 2013: Lost connection to MySQL server during query when dumping `t`", True, True),
        ("mariadb-dump: Error 1412: Table definition has changed when dumping table `t` at row: 0", True, False),
        ("mysqldump: Couldn't execute 'show create table `t`': Table 'p.t' doesn't exist (1146)", True, False),
        ("ERROR 1213 (40001) at line 9: Deadlock found when trying to get lock", True, False),
        ("ERROR 2006 (HY000) at line 1: Server has gone away", False, True),
        ("ERROR 1927 (70100) at line 1: Connection was killed", False, True),
        ("ERROR 1053 (08S01) at line 1: Server shutdown in progress", False, True),
        ("ERROR 2005 (HY000): Unknown server host 'no.such.invalid' (-2)", False, True),
        (DENIED, False, False),
        ("ERROR 1062 (23000) at line 2: Duplicate entry '2013' for key 'PRIMARY'", False, False),
        ("mariadb-dump: Couldn't find table: \"2013\"", False, False),
    ],
    ids=range(12),
)  # fmt: skip
def test_what_may_pass(words: str, transient: bool, gone: bool):
    stderr = f"mysql: [Warning] Using a password is insecure.\n{words}\n"
    assert is_transient(stderr) is transient
    assert is_gone(CommandConnectorError("x", returncode=1, stderr=stderr)) is gone


def test_other_errors_do_not_say_that_the_server_is_gone():
    assert is_gone(NoAnswer("60 s"))
    assert not is_gone(ConnectorError("ERROR 2013 (HY000): x"))
    assert not is_gone(OSError(2013, "ERROR 2013 (HY000): x"))


# With the real programs.

SECRET = "a row that nobody may read"


@requires("mariadb")
@pytest.mark.parametrize("safety_dump", [True, False])
def test_rows_of_a_failed_statement_are_not_shown(database: Database, safety_dump: bool):
    values = ",".join(f"({number},'{SECRET}')" for number in (*range(5000), 1))
    dump = f"CREATE TABLE t (a int PRIMARY KEY, b text);\nINSERT INTO t VALUES {values};\n"
    with pytest.raises(RestoreError, match=r"ERROR 1062 .*Duplicate entry '1'") as caught:
        database.restore(dump.encode(), SAFETY_DUMP=safety_dump)
    cause: BaseException | None = caught.value
    while cause is not None:
        assert SECRET not in f"{cause} {cause!r} {vars(cause)}"
        cause = cause.__cause__


@requires("mariadb:newer")
@pytest.mark.parametrize("version", ["mariadb", "newer_mariadb"])
def test_errors_of_each_version(request: pytest.FixtureRequest, make_database: MakeDatabase, version: str):
    server = request.getfixturevalue(version)
    database = make_database(server=server)
    tools = {"DUMP_CMD": str(server.bin_dir / "mariadb-dump"), "RESTORE_CMD": str(server.bin_dir / "mariadb")}
    failing = {
        "ERROR 1045 .* 'owner'@.*\nSee USER and PASSWORD": {"PASSWORD": "wrong"},
        "ERROR 2002 .*\nThe server cannot be reached": {"PORT": "1"},
        "ERROR 2005 .*\nThe server cannot be reached": {"HOST": "no.such.invalid"},
        "ERROR 1044 .* 'no such'\nThe account lacks a right": {"NAME": "no such"},
    }
    for words, settings in failing.items():
        with pytest.raises(CommandConnectorError, match=words):
            database.dump(**tools, **settings)
    with pytest.raises(CommandConnectorError, match=r"ERROR 1049 .* 'no such'\nCreate the database first"):
        database.dump(**tools, NAME="no such", USER=server.admin.name, PASSWORD=server.admin.password)


@requires("mariadb:newer")
def test_notice_of_an_old_name_is_not_the_error(make_database: MakeDatabase, newer_mariadb: MariaDB, tmp_path: Path):
    server = newer_mariadb
    database = make_database(server=server)
    for old, new in {"mysqldump": "mariadb-dump", "mysql": "mariadb"}.items():
        (tmp_path / old).symlink_to(server.bin_dir / new)
    tools = {"DUMP_CMD": str(tmp_path / "mysqldump"), "RESTORE_CMD": str(tmp_path / "mysql")}
    with pytest.raises(CommandConnectorError, match="mysql exited with status 1: ERROR 1045") as caught:
        database.dump(**tools, PASSWORD="wrong")
    assert "Deprecated" not in str(caught.value)
    with pytest.raises(CommandConnectorError, match="mysqldump: unknown option '--nonsense'") as caught:
        database.dump(**tools, DUMP_SUFFIX="--nonsense")
    assert "Deprecated" not in str(caught.value)
