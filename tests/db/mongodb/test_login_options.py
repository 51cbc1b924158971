"""The options of a connection: what MongoClient may be told, in the words that both drivers know."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient, ReadPreference
from pymongo.read_preferences import Secondary
from pymongo.uri_parser import parse_uri

from dbbackup.db.mongodb.login import Login
from dbbackup.exceptions import ConfigurationError

OURS = ("appname", "connectTimeoutMS", "serverSelectionTimeoutMS")


def login(options: dict[str, Any], **merged: Any) -> Login:
    return Login.from_settings({"NAME": "db", "OPTIONS": options, **merged})


def client_of(found: Login) -> MongoClient[dict[str, Any]]:
    return MongoClient(found.uri, connect=False)


def read(options: dict[str, Any], **merged: Any) -> dict[str, Any]:
    """Return what pymongo reads in the connection string for OPTIONS, without what is always there."""
    found = parse_uri(login(options, **merged).uri)["options"]
    return {name: value for name, value in found.items() if name not in OURS}


@pytest.fixture
def pem(tmp_path: Path) -> str:
    path = tmp_path / "my ça+%41 cert.pem"
    path.write_text("PEM")
    return str(path)


def test_options_may_be_in_any_case():
    options = {"REPLICASET": "rs0", "retrywrites": False, "DirectConnection": "true", "w": "majority", "journal": True}
    expected = {"replicaSet": "rs0", "retryWrites": False, "directConnection": True, "w": "majority", "journal": True}
    assert read(options) == expected
    assert read({"w": 2, "wtimeout": 5, "j": "true"}) == {"w": 2, "wTimeoutMS": 5, "journal": True}
    assert read({"loadBalanced": True, "readConcernLevel": "majority"}) == {
        "loadBalanced": True,
        "readConcernLevel": "majority",
    }
    assert read({"localThresholdMS": 15.0, "heartbeatFrequencyMS": "10000", "serverMonitoringMode": "poll"}) == {
        "localThresholdMS": 15.0,
        "heartbeatFrequencyMS": 10.0,
        "serverMonitoringMode": "poll",
    }


def test_what_the_programs_cannot_be_told_is_left_out():
    python = {"tz_aware": True, "document_class": dict, "server_api": object(), "connect": False, "driver": None}
    python |= {"uuidRepresentation": "standard", "event_listeners": [], "type_registry": object()}
    # Limits for each operation, an application's pools, and what a program takes elsewhere.
    others = {"timeoutMS": 1, "socketTimeoutMS": 1, "maxPoolSize": 1, "minPoolSize": 1, "compressors": "zstd,snappy"}
    neutral = {"w": 0, "maxStalenessSeconds": -1, "wTimeoutMS": 0, "authMechanism": "DEFAULT", "replicaSet": None}
    assert read({**python, **others, **neutral}) == {}
    assert read({}, HOST="mongodb://h/?uuidRepresentation=standard&socketTimeoutMS=1&compressors=snappy&w=0") == {}


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(None, 10), (0, 10), ("30000", 10), (10_000, 10), (9001, 10), (2500.0, 3), (1, 1), ("2000", 2), (-1, 10)],
)
def test_waits_are_whole_seconds_and_10_at_most(given: object, seconds: int):
    for name in ("connectTimeoutMS", "serverSelectionTimeoutMS"):
        found = parse_uri(login({name.lower(): given}).uri)["options"]
        assert found[name] == seconds
        # mongodump divides by 1000 and takes 0 for no limit.
        assert f"{name}={seconds}000" in login({name: given}).uri


def test_name_of_the_application():
    named: list[tuple[dict[str, Any], str]] = [
        ({}, "dbbackup"),
        ({"appName": "my shop"}, "my shop"),
        ({"appname": None}, "dbbackup"),
    ]
    for given, expected in named:
        assert parse_uri(login(given).uri)["options"]["appname"] == expected


@pytest.mark.parametrize(
    "tags",
    [
        ["dc:n y,rack:1", ""],
        [{"dc": "n y", "rack": 1}, {}],
        ["dc:n+y,rack:1", {}],
    ],
)
def test_read_preference(tags: list[Any]):
    options = {"readPreference": "secondaryPreferred", "readPreferenceTags": tags, "maxStalenessSeconds": 120}
    expected = {**options, "readPreferenceTags": [{"dc": "n y", "rack": "1"}, {}]}
    assert read(options) == expected
    uri = "mongodb://h/?readPreference=secondaryPreferred&readPreferenceTags=dc:n%20y,rack:1&readPreferenceTags="
    assert read({"maxStalenessSeconds": "120"}, HOST=uri) == expected
    assert read({"readPreferenceTags": {"dc": "other"}}, HOST=uri)["readPreferenceTags"] == [{"dc": "other"}]


def test_read_preference_as_an_object():
    preference = Secondary(tag_sets=[{"dc": "ny"}, {}], max_staleness=120)
    with client_of(login({"read_preference": preference})) as client:
        assert client.read_preference == preference
    assert read({"read_preference": ReadPreference.NEAREST}) == {"readPreference": "nearest"}
    assert read({"read_preference": ReadPreference.PRIMARY}) == {"readPreference": "primary"}


@pytest.mark.parametrize(
    "given",
    [
        {"SERVICE_NAME": "my db", "CANONICALIZE_HOST_NAME": True, "OIDC_CALLBACK": len, "ALLOWED_HOSTS": ["x"]},
        "SERVICE_NAME:my%20db,CANONICALIZE_HOST_NAME:true",
    ],
)
def test_properties_of_a_mechanism(given: object):
    options = {"authMechanism": "GSSAPI", "authMechanismProperties": given}
    expected = {"SERVICE_NAME": "my db", "CANONICALIZE_HOST_NAME": True}
    found = read(options, USER="me")["authMechanismProperties"]
    assert {**found, "CANONICALIZE_HOST_NAME": found["CANONICALIZE_HOST_NAME"] in {True, "true"}} == expected


def test_session_token():
    options = {"authMechanism": "MONGODB-AWS", "authMechanismProperties": {"AWS_SESSION_TOKEN": "a+b/c==:d"}}
    found = login(options, USER="k", PASSWORD="s")
    with client_of(found) as client:
        credentials = client.options.pool_options._credentials
    assert credentials is not None
    assert credentials.mechanism_properties.aws_session_token == "a+b/c==:d"
    assert parse_uri(login({}, HOST=found.uri).uri) == parse_uri(found.uri)


# TLS.


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tls": True}, {"tls": True}),
        ({"ssl": "true"}, {"tls": True}),
        ({"ssl": True, "tls": True}, {"tls": True}),
        ({"tls": False}, {"tls": False}),
        # Who insists on a check wants TLS, pymongo thinks; Go's driver must be told.
        ({"tlsInsecure": False}, {"tls": True}),
        ({"tlsAllowInvalidCertificates": False}, {"tls": True}),
        ({"tlsAllowInvalidHostnames": False}, {"tls": True}),
        ({"ssl_cert_reqs": ssl.CERT_REQUIRED}, {"tls": True}),
        ({"ssl_cert_reqs": "CERT_REQUIRED", "ssl_match_hostname": True}, {"tls": True}),
        # Go's driver would turn it on for this one, and pymongo would not.
        ({"tlsDisableOCSPEndpointCheck": True}, {}),
        ({"tls": True, "tlsDisableOCSPEndpointCheck": True}, {"tls": True, "tlsDisableOCSPEndpointCheck": True}),
        # Without TLS there is nothing to check.
        ({"tlsInsecure": True}, {}),
        ({"tls": False, "tlsAllowInvalidHostnames": True}, {"tls": False}),
    ],
    ids=str,
)
def test_tls(options: dict[str, Any], expected: dict[str, Any]):
    assert read(options) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"tlsInsecure": True},
        {"tlsAllowInvalidCertificates": "true"},
        {"tlsAllowInvalidCertificates": True, "tlsAllowInvalidHostnames": True},
        {"tlsInsecure": True, "tlsDisableOCSPEndpointCheck": True},
        {"ssl_cert_reqs": ssl.CERT_NONE},
        {"ssl_cert_reqs": "CERT_NONE", "ssl_match_hostname": False},
    ],
    ids=str,
)
def test_tls_without_a_check_of_the_certificate(options: dict[str, Any]):
    found = login({"tls": True, **options})
    uri = found.uri
    # Go's driver knows no other name for it; every other it would pass over and check all the same.
    assert uri.partition("?")[2].split("&")[1:3] == ["tls=true", "tlsInsecure=true"]
    assert "tlsAllow" not in uri
    with client_of(found) as client:
        context = client.options.pool_options._ssl_context
        assert context is not None
        assert context.verify_mode == ssl.CERT_NONE


@pytest.mark.parametrize(
    "options", [{"tls": True, "tlsAllowInvalidHostnames": True}, {"ssl": True, "ssl_match_hostname": False}], ids=str
)
def test_tls_with_half_a_check_is_refused_with_the_ways_out(options: dict[str, Any]):
    with pytest.raises(ConfigurationError, match=r"HOST in DBBACKUP_CONNECTORS.*tlsInsecure in the OPTIONS there"):
        read(options)


def test_revocation_lists_are_refused(pem: str):
    with pytest.raises(ConfigurationError, match=r"tlsCRLFile: .*cannot check revocation lists"):
        read({"tls": True, "tlsCRLFile": pem})


@pytest.mark.parametrize(
    ("ca", "key", "password"),
    [
        ("tlsCAFile", "tlsCertificateKeyFile", "tlsCertificateKeyFilePassword"),
        ("ssl_ca_certs", "ssl_certfile", "ssl_pem_passphrase"),
        ("sslCertificateAuthorityFile", "sslClientCertificateKeyFile", "sslClientCertificateKeyPassword"),
    ],
)
def test_tls_files(pem: str, ca: str, key: str, password: str):
    expected = {"tls": True, "tlsCAFile": pem, "tlsCertificateKeyFile": pem, "tlsCertificateKeyFilePassword": "p:w &"}
    assert read({ca: pem, key: Path(pem), password: "p:w &"}) == expected


def test_tls_files_at_home(pem: str, monkeypatch: pytest.MonkeyPatch):
    folder, name = Path(pem).parent, Path(pem).name
    monkeypatch.setenv("HOME", str(folder))
    assert read({"tlsCAFile": f"~/{name}"})["tlsCAFile"] == pem
    # The programs may run in another folder.
    monkeypatch.chdir(folder)
    assert read({"tlsCAFile": name})["tlsCAFile"] == pem


def test_tls_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"file of tlsCAFile cannot be read: .*/none\.pem: No such file"):
        read({"tlsCAFile": str(tmp_path / "none.pem")})


def test_tls_key_in_a_file_of_its_own(pem: str):
    with pytest.raises(ConfigurationError, match="into one file"):
        read({"ssl_certfile": pem, "ssl_keyfile": "other"})
    assert read({"ssl_certfile": pem, "ssl_keyfile": pem})["tlsCertificateKeyFile"] == pem


def test_tls_that_is_off_and_on(pem: str):
    for options in ({"tlsCAFile": pem}, {"tlsInsecure": False}):
        with pytest.raises(ConfigurationError, match="tls is false"):
            read({"tls": False, **options})


# Wrong values.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tls", "yes"),
        ("retryWrites", 1),
        ("directConnection", "hidden"),
        ("connectTimeoutMS", "hidden"),
        ("wTimeoutMS", [1]),
        ("maxStalenessSeconds", float("inf")),
        ("readPreference", "hidden"),
        ("readPreferenceTags", "hidden"),
        ("readPreferenceTags", {"a": "b,c"}),
        ("readPreferenceTags", [{"a:b": "c"}]),
        ("authMechanism", "MONGODB-CR"),
        ("authMechanismProperties", {"SERVICE_NAME": "a,b"}),
        ("authMechanismProperties", "SERVICE_NAME"),
        ("serverMonitoringMode", "hidden"),
    ],
    ids=str,
)
def test_wrong_value_is_refused_and_not_shown(name: str, value: object):
    with pytest.raises(ConfigurationError, match=rf"option {name} ") as caught:
        read({name: value}, USER="me", PASSWORD="secret")
    assert "hidden" not in str(caught.value)
