"""How the driver and the programs log in: every form of the settings becomes one connection string."""

from __future__ import annotations

import json
import shlex
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.uri_parser import parse_uri

from dbbackup.db.mongodb import MongoDumpConnector
from dbbackup.db.mongodb.login import Login, config_file
from dbbackup.exceptions import ConfigurationError

DEFAULTS = {"appname": "dbbackup", "connectTimeoutMS": 10.0, "serverSelectionTimeoutMS": 10.0}
USER = {"USER": "me", "PASSWORD": "secret"}


def login(**merged: Any) -> Login:
    return Login.from_settings({"NAME": "db", **merged})


def read(**merged: Any) -> dict[str, Any]:
    """Return what pymongo reads in the connection string for merged settings."""
    return parse_uri(login(**merged).uri)


def nodes(**merged: Any) -> list[tuple[str, int | None]]:
    found: list[tuple[str, int | None]] = read(**merged)["nodelist"]
    return found


def client_of(found: Login) -> MongoClient[dict[str, Any]]:
    return MongoClient(found.uri, connect=False)


def credentials(**merged: Any) -> tuple[str, str | None, str | None]:
    """Return who logs in, as pymongo takes it from our connection string: source, user and password."""
    with client_of(login(**merged)) as client:
        found = client.options.pool_options._credentials
    assert found is not None
    return found.source, found.username, found.password


# Who and where.


def test_settings():
    found = login(HOST="h", PORT=27018, USER="me", PASSWORD="se cret", AUTH_SOURCE="users")
    assert (found.database, found.hosts, found.user, found.auth_source) == ("db", "h:27018", "me", "users")
    assert "cret" not in repr(found)
    told = parse_uri(found.uri)
    assert (told["nodelist"], told["username"], told["password"]) == ([("h", 27018)], "me", "se cret")
    assert (told["database"], told["options"]) == (None, {**DEFAULTS, "authSource": "users"})


def test_empty_settings_are_this_machine():
    empty: dict[str, Any] = {"USER": "", "PASSWORD": "", "HOST": "", "PORT": "", "OPTIONS": {}, "CLIENT": None}
    assert read(**empty) == read()
    assert nodes() == [("localhost", 27017)]
    assert (read()["username"], read()["options"]) == (None, DEFAULTS)
    assert (login().user, login().auth_source, login().auth_sources, login().secrets) == ("", "", ("",), ())


@pytest.mark.parametrize(
    ("host", "port", "expected", "shown"),
    [
        ("h", "", [("h", 27017)], "h:27017"),
        ("h_1.example", "5", [("h_1.example", 5)], "h_1.example:5"),
        ("h:6", 5, [("h", 6)], "h:6"),
        ("10.0.0.1", 5, [("10.0.0.1", 5)], "10.0.0.1:5"),
        ("[::1]", 5, [("::1", 5)], "[::1]:5"),
        ("[::1]:6", 5, [("::1", 6)], "[::1]:6"),
        ("::1", "", [("::1", 27017)], "[::1]:27017"),
        ("fe80::1%eth0", 5, [("fe80::1%eth0", 5)], "[fe80::1%eth0]:5"),
        ("a,b:6, [::1]", 5, [("a", 5), ("b", 6), ("::1", 5)], "a:5,b:6,[::1]:5"),
        ("/run/my db/m,n%41+.sock".replace(",", ""), 5, [("/run/my db/mn%41+.sock", None)], "/run/my db/mn%41+.sock"),
        ("%2Frun%2Fmy%20db%2Fm.sock,b", 5, [("/run/my db/m.sock", None), ("b", 5)], "/run/my db/m.sock,b:5"),
        ("bücher.example", 5, [("xn--bcher-kva.example", 5)], "bücher.example:5"),
        ("mongodb://a,b:6", 5, [("a", 5), ("b", 6)], "a:5,b:6"),
        ("mongodb://%2Frun%2Fm.sock/x", 5, [("/run/m.sock", None)], "/run/m.sock"),
        ("mongodb://[fe80::1%25eth0]:6/", 5, [("fe80::1%eth0", 6)], "[fe80::1%eth0]:6"),
        (["a", "b:6"], 5, [("a", 5), ("b", 6)], "a:5,b:6"),
    ],
)
def test_host(host: Any, port: Any, expected: list[tuple[str, int | None]], shown: str):
    assert nodes(HOST=host, PORT=port) == expected
    assert login(HOST=host, PORT=port).hosts == shown
    assert login(HOST=host, PORT=port).uri.isascii()
    # Go's driver decodes hosts.
    assert "%eth0" not in login(HOST=host, PORT=port).uri


def test_name_to_look_up_stays_one_name():
    found = login(HOST="mongodb+srv://me:p%40@cluster.example.net/?retryWrites=true", PORT=5)
    assert found.hosts == "cluster.example.net"
    # Its TLS is said, since both drivers mean it.
    assert found.uri.startswith(
        "mongodb+srv://me:p%40@cluster.example.net/?appName=dbbackup&retryWrites=true&tls=true&"
    )
    assert "&tls=false&" in login(HOST="mongodb+srv://c.example.net/?tls=false").uri
    assert "srvMaxHosts=2" in login(HOST="mongodb+srv://c.example.net", OPTIONS={"srvmaxhosts": 2}).uri
    assert "srvMaxHosts" not in login(HOST="c.example.net", OPTIONS={"srvmaxhosts": 2}).uri


def test_database_without_a_name():
    nameless: list[dict[str, Any]] = [{}, {"NAME": ""}, {"NAME": None}, {"HOST": "mongodb://h/?tls=true"}]
    for merged in nameless:
        with pytest.raises(ConfigurationError, match="no NAME"):
            Login.from_settings(merged)


def test_database_in_the_uri():
    uri = "mongodb://me:secret@h/m%C3%A4rkte.collection"
    assert Login.from_settings({"HOST": uri, "NAME": ""}).database == "märkte"
    # As for the drivers, it is where the user is known, whatever the NAME.
    assert (login(HOST=uri).database, login(HOST=uri).auth_source) == ("db", "märkte")
    assert (read(HOST=uri)["database"], credentials(HOST=uri)) == (None, ("märkte", "me", "secret"))
    assert login(HOST="mongodb://h/users").auth_source == ""
    assert login(HOST="mongodb://h/users", **USER).auth_source == "users"


def test_uri_s_credentials_give_way_one_by_one():
    uri = "mongodb://me:pass%2Bword@h:5/?authSource=there&retryWrites=false"
    assert credentials(HOST=uri) == ("there", "me", "pass+word")
    assert credentials(HOST=uri, USER="you") == ("there", "you", "pass+word")
    assert credentials(HOST=uri, PASSWORD="other") == ("there", "me", "other")
    assert credentials(HOST=uri, OPTIONS={"username": "you", "password": "theirs"}) == ("there", "you", "theirs")
    assert credentials(HOST=uri, USER="x", PASSWORD="y", OPTIONS={"username": "a", "password": "b"})[1:] == ("x", "y")
    told = read(HOST=uri, PORT=6, OPTIONS={"RETRYWRITES": True})
    assert (told["nodelist"], told["options"]["retryWrites"]) == ([("h", 5)], True)
    assert credentials(HOST="mongodb://me@h", PASSWORD="s")[1:] == ("me", "s")


def test_uri_is_read_as_pymongo_reads_it():
    # In the user's own, a plus is a blank for pymongo, and so it is one for the programs.
    assert credentials(HOST="mongodb://a+b:c+d@h/?appName=x+y&") == ("admin", "a b", "c d")
    assert read(HOST="mongodb://h?appName=x+y;tls=true")["options"] == {**DEFAULTS, "appname": "x y", "tls": True}


@pytest.mark.parametrize(
    "uri",
    [
        "mongo://me:hidden@h/",
        "mongodb+srv://me:hidden@a,b/",
        "mongodb+srv://me:hidden@h:27017/",
        "mongodb://me:hidden@/",
        "mongodb://me:hid:den@h/",
        "mongodb://me:hid@den@h/",
        "mongodb://me:hid/den@h/",
        "mongodb://me:27/hidden@h/",
        "mongodb://me:hid?den@h/",
        "mongodb://me:hid%den@h/",
        "mongodb://me:hid%FFden@h/",
        "mongodb://:hidden@h/",
        "mongodb://me:hidden@h:x/",
        "mongodb://me:hidden@h:0/",
        "mongodb://me:hidden@h:65536/",
        "mongodb://me:hidden@h:/",
        "mongodb://me:hidden@[::1/db",
        "mongodb://me:hidden@[::1]27017/db",
        "mongodb://me:hidden@[h]/db",
        "mongodb://me:hidden@h,,g/db",
        "mongodb://me:hidden@h%41/db",
        "mongodb://me:hidden@h/db#hidden",
        "mongodb://me:hidden@h/?tls=true#hidden",
        "mongodb://me:hidden@h/a/b",
        "mongodb://me:hidden@h/?tls",
        "mongodb://me:hidden@h/?authSource=%zz",
    ],
)
def test_malformed_uri_is_refused_and_not_shown(uri: str):
    with pytest.raises(ConfigurationError, match="HOST is not an address") as caught:
        login(HOST=uri)
    assert not [part for part in ("hid", "den", "me:", "27/") if part in str(caught.value)]
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    "host", ["/run/mongodb", "rs0/a,b", "a b", "h:x", "h:", "1:2:3", ",", "x" * 70 + "ü", "/a:b.sock"]
)
def test_malformed_host(host: str):
    with pytest.raises(ConfigurationError, match="HOST is not an address"):
        login(HOST=host)


@pytest.mark.parametrize("port", ["x", 0, "65536", "-1", "1.5", "²"])
def test_malformed_port(port: Any):
    with pytest.raises(ConfigurationError, match="PORT must be"):
        login(PORT=port)


def test_half_credentials():
    with pytest.raises(ConfigurationError, match="a USER, but no PASSWORD"):
        login(USER="me")
    with pytest.raises(ConfigurationError, match="no USER, which SCRAM-SHA-256 takes"):
        login(OPTIONS={"authMechanism": "scram-sha-256"})
    # MongoClient does not log in with a password alone, and nor do the programs if they are not told a place.
    found = login(PASSWORD="alone", AUTH_SOURCE="users", OPTIONS={"authSource": "users"})
    assert (found.uri, found.auth_source, found.auth_sources) == (login().uri, "", ("",))
    assert found.uri_with(authSource="users") == found.uri


# Where the user is known.


def test_order_of_the_authentication_sources():
    given = {"HOST": "mongodb://me:s@h/path?authSource=uri", "CLIENT": {"authSource": "client"}}
    assert login(HOST="mongodb://me:s@h/path").auth_source == "path"
    assert login(HOST=given["HOST"]).auth_source == "uri"
    assert login(**given).auth_source == "client"
    assert login(**given, OPTIONS={"AuthSource": "options"}).auth_source == "options"
    assert login(**given, OPTIONS={"AuthSource": "options"}, AUTH_SOURCE="said").auth_source == "said"
    assert credentials(**given, OPTIONS={"AuthSource": "options"}, AUTH_SOURCE="a $b")[0] == "a $b"


def test_authentication_sources_to_try():
    assert (login(**USER).auth_source, login(**USER).auth_sources) == ("", ("admin", "db"))
    assert login(**USER, NAME="admin").auth_sources == ("admin",)
    assert login(**USER, AUTH_SOURCE="x").auth_sources == ("x",)
    assert parse_uri(login(**USER).uri_with(authSource="admin"))["options"]["authSource"] == "admin"
    assert login(**USER, AUTH_SOURCE="x").uri_with(authSource="admin") == login(**USER, AUTH_SOURCE="x").uri


@pytest.mark.parametrize("mechanism", ["MONGODB-X509", "GSSAPI", "MONGODB-AWS", "MONGODB-OIDC", "PLAIN"])
def test_users_of_no_database(mechanism: str):
    found = login(**USER, OPTIONS={"authMechanism": mechanism.lower()})
    assert (found.auth_source, found.auth_sources) == ("$external", ("$external",))
    told = parse_uri(found.uri)
    assert (told["options"]["authSource"], told["options"]["authMechanism"]) == ("$external", mechanism)
    # These two refuse to be given a password.
    assert told["password"] == ("" if mechanism in {"MONGODB-X509", "MONGODB-OIDC"} else "secret")
    said = login(**USER, AUTH_SOURCE="ldap", OPTIONS={"authMechanism": mechanism})
    assert said.auth_source == ("ldap" if mechanism == "PLAIN" else "$external")


def test_certificate_or_machine_may_log_in_without_a_user():
    for mechanism in ("MONGODB-X509", "MONGODB-AWS"):
        found = login(OPTIONS={"authMechanism": mechanism})
        assert (found.user, found.auth_sources) == ("", ("$external",))
        assert credentials(OPTIONS={"authMechanism": mechanism}) == ("$external", None, None)


# Engines.


def test_djongo():
    client = {"host": "h", "port": 5, "username": "me", "password": "p:w", "authSource": "users", "ssl": True}
    found = login(HOST="", PORT="", USER="", PASSWORD="", CLIENT={**client, "authMechanism": "SCRAM-SHA-1"})
    told = parse_uri(found.uri)
    assert (found.hosts, told["username"], told["password"], found.auth_source) == ("h:5", "me", "p:w", "users")
    expected = {**DEFAULTS, "authSource": "users", "authMechanism": "SCRAM-SHA-1", "tls": True}
    assert told["options"] == expected
    over = login(HOST="g", PORT=6, USER="you", PASSWORD="own", CLIENT=client)
    assert (over.hosts, over.user, parse_uri(over.uri)["password"]) == ("g:6", "you", "own")
    assert credentials(CLIENT={"host": "mongodb://a:b@h/c"}) == ("c", "a", "b")


def test_django_mongodb_backend():
    base = pytest.importorskip("django_mongodb_backend.base")
    merged = {
        "HOST": "mongodb://a:b@h:5,g/users?retryWrites=false",
        "PORT": 6,
        "USER": "me",
        "PASSWORD": "p@w",
        "OPTIONS": {"password": "c", "readPreference": "nearest", "appName": "shop", "tz_aware": True},
    }
    wrapper = base.DatabaseWrapper({"NAME": "db", **merged})
    with (
        MongoClient(**wrapper.get_connection_params(), connect=False) as theirs,
        client_of(login(**merged)) as ours,
    ):
        for told in (theirs, ours):
            found = told.options.pool_options._credentials
            assert found is not None
            assert (found.source, found.username, found.password) == ("users", "me", "p@w")
            assert told._topology_settings.seeds == {("h", 5), ("g", 6)}
            assert told.options.read_preference.mongos_mode == "nearest"
            assert (told.options.retry_writes, told.options.pool_options.appname) == (False, "shop")


# Secrets.

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
SOME = "p@ss:w/rd %41+&'\"üé$ #\\\n€😀?=;,"


@settings(max_examples=1000, deadline=None)
@given(user=TEXTS, password=TEXTS, source=TEXTS)
def test_every_character_reaches_the_driver(user: str, password: str, source: str):
    found = login(USER=user, PASSWORD=password, AUTH_SOURCE=source)
    for again in (found, login(HOST=found.uri)):
        told = parse_uri(again.uri)
        assert (told["username"], told["password"]) == (user, password)
        assert (told["options"]["authSource"], told["nodelist"]) == (source, [("localhost", 27017)])
        assert password in again.secrets
        # The file says the same, with nothing that YAML would read in another way than JSON.
        assert config_file(again.uri) == f'uri: "{again.uri}"\n'
        assert json.loads(config_file(again.uri).removeprefix("uri: ")) == again.uri
        assert set(again.uri) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%:/?@&=")


def test_text_that_is_not_unicode():
    with pytest.raises(ConfigurationError, match="UTF-8"):
        login(USER="me", PASSWORD="a\ud800b")
    assert credentials(USER="me", PASSWORD="pä€".encode())[2] == "pä€"


def test_secrets_in_each_form_that_a_program_may_print():
    found = login(USER="me", PASSWORD=SOME)
    expected = {SOME, quote(SOME), quote(SOME, safe=""), quote_plus(SOME), repr(SOME)[1:-1], json.dumps(SOME)[1:-1]}
    assert expected <= set(found.secrets)
    # As Go's url.UserPassword has it.
    assert "p%40ss%3Aw%2Frd%20%2541+&%27%22%C3%BC%C3%A9$%20%23%5C%0A%E2%82%AC%F0%9F%98%80%3F=;," in found.secrets
    assert [len(secret) for secret in found.secrets] == sorted(map(len, found.secrets), reverse=True)
    assert not [secret for secret in found.secrets if secret in repr(found)]


def test_secrets_that_do_not_count():
    found = login(
        HOST="h",
        PASSWORD="one",
        USER="me",
        OPTIONS={"password": "two", "host": "mongodb://me:thr%65e@h", "TLSCertificateKeyFilePassword": "four"},
        CLIENT={"password": "five", "host": "mongodb://me:s%69x@h/", "ssl_pem_passphrase": "seven"},
    )
    expected = {"one", "two", "three", "thr%65e", "four", "five", "s%69x", "seven"}
    assert expected <= set(found.secrets)
    token = {"authMechanismProperties": {"AWS_SESSION_TOKEN": "a+b/c=="}, "authMechanism": "MONGODB-AWS"}
    assert {"a+b/c==", "a%2Bb%2Fc%3D%3D"} <= set(login(**USER, OPTIONS=token).secrets)
    uri = "mongodb://me:s@h/?authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:a%2Bb"
    assert {"a+b", "a%2Bb"} <= set(login(HOST=uri).secrets)


def test_by_hand():
    options = {"tlsCertificateKeyFilePassword": "hidden", "replicaSet": "it's", "connectTimeoutMS": 500}
    found = login(HOST="h,g", USER="o'me:@", PASSWORD="secret", OPTIONS=options)
    words = shlex.split(found.by_hand(authSource="admin"))
    assert words == ["--uri=mongodb://o%27me%3A%40@h:27017,g:27017/?replicaSet=it%27s&tls=true&authSource=admin"]
    assert login().by_hand() == "--uri=mongodb://localhost:27017/"
    token = {"authMechanismProperties": {"AWS_SESSION_TOKEN": "hidden"}, "authMechanism": "MONGODB-AWS"}
    assert "hidden" not in login(**USER, OPTIONS=token).by_hand()


def test_uri_with_options():
    found = login(OPTIONS={"replicaSet": "a"})
    assert parse_uri(found.uri_with(replicaSet="b", retryWrites=False))["options"] == {
        **DEFAULTS,
        "replicaSet": "a",
        "retryWrites": False,
    }
    assert found.uri_with(serverSelectionTimeoutMS=2000) == found.uri


def test_key_is_another_for_every_database():
    keys = [login(), login(NAME="other"), login(HOST="h"), login(PORT=5)]
    assert len({one.key for one in keys}) == len(keys)
    assert login(**USER).key == login().key


def test_client_may_be_given_for_backups_alone():
    assert "client" in MongoDumpConnector.options()
    theirs = {"NAME": "shop", "CLIENT": {"host": "db.example"}}
    connector = MongoDumpConnector("shop", settings={**theirs, "CLIENT": {"host": "replica.example"}})
    assert connector._login.hosts == "replica.example:27017"
    MongoDumpConnector.refuse_unknown_options(["CLIENT", "AUTH_SOURCE"], "DBBACKUP_CONNECTORS")
