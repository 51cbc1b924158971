"""How both programs log in, and what they say where they cannot."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest

from tests.requirements import requires
from tests.servers.account import free_port
from tests.servers.mongodb import MongoDB

pytestmark = requires("mongodb")

PASSWORD = "p@ss/w:rd %ü"
QUOTED = quote(PASSWORD, safe="")


def failed(run) -> str:
    """Return what a program says when it has no connection: one of them without the word "Failed"."""
    assert (run.status, run.out) == (1, b"")
    return str(run.last)


def programs() -> pytest.MarkDecorator:
    # Each says the same after words of its own.
    before = {"mongodump": "Failed: can't create session: ", "mongorestore": "error connecting to host: "}
    return pytest.mark.parametrize(("name", "before"), before.items(), ids=before.keys())


@programs()
def test_an_address_is_printed_with_its_password(tools, name, before):
    address = f"mongodb://nobody:{QUOTED}@{tools.server.host}:{tools.server.port}/?authSource=admin"
    tools.write_config(uri=address)

    run = tools.run(name, f"--config={tools.config}", "--archive", data=b"")

    assert failed(run).startswith(
        f"{before}failed to connect to {address}: connection() error occurred during connection handshake: auth error: "
        'unable to authenticate using mechanism "SCRAM-SHA-256": (AuthenticationFailed) '
    )


@programs()
def test_a_server_that_is_not_there_is_waited_for_as_the_address_says(tools, name, before):
    address = f"mongodb://nobody:{QUOTED}@127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=1999"
    tools.write_config(uri=address)
    start = time.monotonic()

    run = tools.run(name, f"--config={tools.config}", "--archive", data=b"")

    # In whole seconds, which are fewer than that.
    assert 0.9 < time.monotonic() - start < 1.9
    text = failed(run)
    assert text.startswith(f"{before}failed to connect to {address}: server selection error: ")
    assert "connect: connection refused" in text


@pytest.mark.slow
def test_user_and_password_may_come_apart(tools, mongodb: MongoDB):
    config = tools.write_config(password=mongodb.admin.password)
    where = [f"--host={mongodb.host}", "--port", str(mongodb.port)]
    user = [f"--username={mongodb.admin.name}", "--authenticationDatabase=admin"]

    run = tools.run("mongodump", f"--config={config}", *where, *user, "--db=nosuch", "--archive")

    assert (run.status, run.err) == (0, "")


def test_the_database_to_be_dumped_is_asked_for_the_user(tools, mongodb: MongoDB):
    config = tools.write_config(password=mongodb.admin.password)
    address = f"--uri=mongodb://{quote(mongodb.admin.name, safe='')}@{mongodb.host}:{mongodb.port}/"

    elsewhere = tools.run("mongodump", f"--config={config}", address, "--db=nosuch", "--archive")
    nowhere = tools.run("mongorestore", f"--config={config}", address, "--archive", data=b"")

    assert "(AuthenticationFailed)" in failed(elsewhere)
    # Its own database is the one for whom nothing is said.
    assert nowhere.failure == "I/O failure reading beginning of archive: EOF"
    # What comes from two places is never printed in one.
    assert mongodb.admin.password not in elsewhere.err
    assert quote(mongodb.admin.password, safe="") not in elsewhere.err


def test_users_of_another_database(tools, mongodb: MongoDB):
    tools.write_config(uri=tools.address(mongodb.local))

    assert tools.dump("nosuch").status == 0


def test_a_missing_password_is_read_from_the_input(tools, mongodb: MongoDB):
    address = f"--uri=mongodb://reader@{mongodb.host}:{mongodb.port}/?authSource=admin"
    words = [address, "--db=nosuch", "--archive"]

    given = tools.run("mongodump", *words, data=mongodb.reader.password.encode() + b"\n")
    missing = tools.run("mongodump", *words)

    assert given.status == 0
    assert given.lines[0] == "reading password from standard input"
    assert "Enter password for mongo user:" in given.err
    assert "(AuthenticationFailed)" in failed(missing)


@pytest.mark.parametrize("client_certificates", [False, True], ids=["", "with a client's certificate"])
def test_tls(tools, mongodb: MongoDB, client_certificates):
    with mongodb.tls(client_certificates=client_certificates) as options:
        query = "".join(
            f"&{name}={quote(str(value).lower() if value is True else value)}" for name, value in options.items()
        )
        tools.write_config(uri=tools.address(options=f"{query}&serverSelectionTimeoutMS=10000"))
        by_address = tools.dump("nosuch")
        tools.write_config(uri=tools.address(options="&serverSelectionTimeoutMS=1000"))
        words = ["--ssl", f"--sslCAFile={mongodb.ca_file}"]
        words += [f"--sslPEMKeyFile={mongodb.client_pem}"] if client_certificates else []
        by_words = tools.dump("nosuch", *words)
        without = tools.dump("nosuch")
        unknown = tools.dump("nosuch", "--ssl", *words[2:])

    assert (by_address.status, by_words.status, without.status, unknown.status) == (0, 0, 1, 1)


def test_options_that_mean_nothing_are_named(tools):
    tools.write_config(uri=tools.address(options="&tlsAllowInvalidHostnames=true&readPreference=secondaryPreferred"))

    run = tools.dump("nosuch")

    assert run.status == 0
    assert run.lines == ["WARNING: ignoring unsupported URI parameter `tlsallowinvalidhostnames`"]


def test_a_read_preference_that_there_is_not(tools):
    run = tools.dump("nosuch", "--readPreference=furthest")

    assert run.failure == "error parsing --readPreference : unknown read preference furthest"
