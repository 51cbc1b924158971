"""Command lines and configuration files that both programs refuse before they connect."""

from __future__ import annotations

import pytest

from tests.requirements import requires

pytestmark = requires("mongodb")

NUMBER = "invalid argument for flag `-j, --numParallelCollections'"
DIFFERENT = "Invalid Options: Cannot specify different"
IN_BOTH = "in connection URI and command-line option"
IN_URI = "was specified in the URI"
AGAIN = "field password already set in type struct"
YAML = "error parsing config file FILE: yaml: "


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--bogus"], "unknown option `bogus`"),
        (["-Z"], "unknown option `Z`"),
        (["--tls"], "unknown option `tls`"),
        (["--port"], "expected argument for flag `--port'"),
        (["--db", "--gzip"], "expected argument for flag `-d, --db', but got option `--gzip'"),
        (["--gzip=yes"], "bool flag `--gzip' cannot have an argument"),
        (
            ["-j", "many"],
            f'{NUMBER} (expected int): strconv.ParseInt: parsing "many": invalid syntax',
        ),
        (["--config=/nosuch"], "error opening file with --config: open /nosuch: no such file or directory"),
        (
            ["--archive", "--uri=mongodb://a:b@localhost/", "--host=other"],
            f"{DIFFERENT} host {IN_BOTH} `localhost` {IN_URI} and `other` was specified in the --host option",
        ),
        (
            ["--uri=mongodb://a:b@localhost/one", "--db=two"],
            f"{DIFFERENT} database {IN_BOTH} `one` {IN_URI} and `two` was specified in the --db option",
        ),
        (
            ["--archive", "--uri=mongodb://a:b@localhost/", "--password=c"],
            f"{DIFFERENT} password {IN_BOTH}",
        ),
        (
            ["--uri=mongodb://a:b@localhost/", "mongodb://localhost/"],
            "illegal argument combination: cannot specify a URI in a positional argument and --uri",
        ),
        (["--uri=http://localhost/"], 'error parsing uri: scheme must be "mongodb" or "mongodb+srv"'),
        (["--uri=mongodb://a:b@c@localhost/"], "error parsing uri: unescaped @ sign in user info"),
        (["--uri=mongodb://a:b%zz@localhost/"], 'error parsing uri: invalid password: invalid URL escape "%zz"'),
        (["--uri=mongodb://localhost?tls=true"], "error parsing uri: must have a / before the query ?"),
        (
            ["--uri=mongodb://localhost/?serverSelectionTimeoutMS=x"],
            'error parsing uri: invalid value for "serverSelectionTimeoutMS": "x"',
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("name", ["mongodump", "mongorestore"])
def test_a_command_line_that_is_wrong(tools, name, words, error):
    run = tools.run(name, *words)

    assert (run.status, run.out) == (1, b"")
    assert run.lines == [f"error parsing command line options: {error}", f"try '{name} --help' for more information"]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b'password: "\\ud83d\\ude00"\n', YAML + "found invalid Unicode character escape code"),
        (b'password: "a\\/b"\n', YAML + "found unknown escape character"),
        (b"password: a: b\n", YAML + "mapping values are not allowed in this context"),
        (b"password: a\x01b\n", YAML + "control characters are not allowed"),
        (b"password: a\xffb\n", YAML + "invalid leading UTF-8 octet"),
        (b"password: @b\n", YAML + "found character that cannot start any token"),
        (b'password: "a\n', YAML + "line 2: found unexpected end of stream"),
        (b"passwort: a\n", YAML + "unmarshal errors:\n  line 1: field passwort not found in type struct"),
        (
            b"password: a\npassword: b\n",
            YAML + f"unmarshal errors:\n  line 2: {AGAIN}",
        ),
        (b"password: [a]\n", YAML + "unmarshal errors:\n  line 1: cannot unmarshal "),
    ],
    ids=lambda value: ascii(value) if isinstance(value, bytes) else "",
)
def test_a_configuration_file_that_is_wrong(tools, data, error):
    tools.config.write_bytes(data)

    run = tools.dump("nosuch")

    assert run.status == 1
    expected = error.replace("FILE", str(tools.config))
    assert run.err.partition("\t")[2].startswith(f"error parsing command line options: {expected}")


@pytest.mark.parametrize(
    "form",
    [
        "uri: ADDRESS\n",
        "uri: 'ADDRESS'\n",
        "# a comment\n\n'uri':  \"ADDRESS\" # and another\r\n",
        "uri: ADDRESS # comment",
    ],
    ids=["plain", "single quotes", "double quotes", "no end of line"],
)
def test_forms_of_strings(tools, form):
    tools.config.write_text(form.replace("ADDRESS", tools.address()), newline="")

    assert tools.dump("nosuch").status == 0


def test_escapes_of_strings(tools, mongodb):
    escaped = "".join(f"\\U{ord(char):08x}" for char in mongodb.admin.password)
    tools.config.write_text(f'password: "{escaped}"\n')
    user = [f"--username={mongodb.admin.name}", "--authenticationDatabase=admin"]

    run = tools.dump("nosuch", f"--host={mongodb.host}:{mongodb.port}", *user)

    assert run.status == 0, run.err


def test_short_options_and_the_last_of_several(tools, database):
    database["thing"].insert_one({})
    words = [f"--config={tools.config}", "-dnosuch", f"-d={database.name}", "--archive", "-vv"]

    run = tools.run("mongodump", *words)

    assert run.status == 0
    assert f"archive prelude `{database.name}.thing`" in run.lines


@pytest.mark.parametrize("name", ["mongodump", "mongorestore"])
def test_version_and_help(tools, name):
    version, text = tools.run(name, "--version"), tools.run(name, "--help")

    assert (version.status, text.status) == (0, 0)
    assert version.out.decode().startswith(f"{name} version: ")
    assert b"--archive" in text.out


@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize("name", ["mongodump", "mongorestore"])
def test_a_stand_in_says_what_it_cannot_do(tools, name):
    run = tools.run(name, "--collection=thing")

    assert run.lines[0] == (f"error parsing command line options: the stand-in for {name} does not have --collection")
