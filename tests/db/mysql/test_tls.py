"""TLS: what Django's drivers are told, in the words of each flavour's programs; and what these then do."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dbbackup.db.mysql.login import Login
from dbbackup.db.mysql.option_file import read_groups
from dbbackup.db.mysql.tools import Tool, find_client, find_dump_tool
from dbbackup.exceptions import ConfigurationError
from tests.db.mysql.fake_tools import MARIADB, MARIADB_DUMP, MYSQL, MYSQLDUMP, MYSQLDUMP_5, write_tools
from tests.requirements import requires
from tests.servers.mariadb import MariaDB

Told = dict[str, str | None]
CA: Told = {"ssl-ca": "/ca"}
REQUIRED: Told = {"ssl": None, "skip-ssl-verify-server-cert": None}
VERIFIED: Told = {"ssl": None, "ssl-verify-server-cert": None}
TLS: list[tuple[dict[str, Any], Told, Told]] = [
    ({}, {"ssl-mode": "PREFERRED"}, REQUIRED),
    ({"ssl": {}}, {"ssl-mode": "PREFERRED"}, REQUIRED),
    ({"ssl": False}, {"ssl-mode": "PREFERRED"}, REQUIRED),
    ({"ssl": True}, {"ssl-mode": "REQUIRED"}, REQUIRED),
    ({"ssl": {"ca": "/ca"}}, {"ssl-mode": "VERIFY_CA", **CA}, {**VERIFIED, **CA}),
    ({"ssl": {"capath": "/c"}}, {"ssl-mode": "VERIFY_CA", "ssl-capath": "/c"}, {**VERIFIED, "ssl-capath": "/c"}),
    ({"ssl": {"cipher": "X"}}, {"ssl-mode": "REQUIRED", "ssl-cipher": "X"}, {**REQUIRED, "ssl-cipher": "X"}),
    (
        {"ssl": {"ca": "/ca", "cert": "/c", "key": "/k"}},
        {"ssl-mode": "VERIFY_CA", **CA, "ssl-cert": "/c", "ssl-key": "/k"},
        {**VERIFIED, **CA, "ssl-cert": "/c", "ssl-key": "/k"},
    ),
    ({"ssl": {"ca": "/ca", "check_hostname": True}}, {"ssl-mode": "VERIFY_IDENTITY", **CA}, {**VERIFIED, **CA}),
    ({"ssl": {"ca": "/ca", "check_hostname": False}}, {"ssl-mode": "VERIFY_CA", **CA}, {**VERIFIED, **CA}),
    ({"ssl": {"ca": "/ca", "verify_mode": "none"}}, {"ssl-mode": "REQUIRED"}, REQUIRED),
    ({"ssl": {"ca": "/ca", "verify_mode": False}}, {"ssl-mode": "REQUIRED"}, REQUIRED),
    ({"ssl_mode": "DISABLED"}, {"ssl-mode": "DISABLED", "get-server-public-key": None}, {"skip-ssl": None}),
    ({"ssl_mode": "preferred"}, {"ssl-mode": "PREFERRED"}, REQUIRED),
    ({"ssl_mode": "REQUIRED"}, {"ssl-mode": "REQUIRED"}, REQUIRED),
    ({"ssl_mode": "REQUIRED", "ssl": {"ca": "/ca"}}, {"ssl-mode": "REQUIRED"}, REQUIRED),
    ({"ssl_mode": "VERIFY_CA", "ssl": {"ca": "/ca"}}, {"ssl-mode": "VERIFY_CA", **CA}, {**VERIFIED, **CA}),
    ({"ssl_mode": "VERIFY_IDENTITY"}, {"ssl-mode": "VERIFY_IDENTITY"}, VERIFIED),
    ({"ssl_disabled": True}, {"ssl-mode": "DISABLED", "get-server-public-key": None}, {"skip-ssl": None}),
    ({"ssl_ca": "/ca"}, {"ssl-mode": "VERIFY_CA", **CA}, {**VERIFIED, **CA}),
    ({"ssl_ca": "/ca", "ssl_verify_cert": False}, {"ssl-mode": "REQUIRED"}, REQUIRED),
    ({"ssl_ca": "/ca", "ssl_verify_cert": True}, {"ssl-mode": "VERIFY_CA", **CA}, {**VERIFIED, **CA}),
    ({"ssl_ca": "/ca", "ssl_verify_identity": True}, {"ssl-mode": "VERIFY_IDENTITY", **CA}, {**VERIFIED, **CA}),
    (
        {"ssl_cert": "/c", "ssl_key": "/k"},
        {"ssl-mode": "REQUIRED", "ssl-cert": "/c", "ssl-key": "/k"},
        {**REQUIRED, "ssl-cert": "/c", "ssl-key": "/k"},
    ),
]


def told_to(folder: Path, options: dict[str, Any], tool: Tool = MARIADB_DUMP) -> Told:
    """Return what a program is told."""
    path = folder / "written.cnf"
    path.write_text(Login.from_settings({"NAME": "db", "OPTIONS": options}).option_file(tool, home=folder))
    return read_groups(path, ["client"])


@pytest.mark.parametrize(("options", "mysql", "mariadb"), TLS)
def test_tls(tmp_path: Path, options: dict[str, Any], mysql: Told, mariadb: Told):
    for tool, expected in [(MYSQLDUMP, mysql), (MYSQL, mysql), (MARIADB_DUMP, mariadb), (MARIADB, mariadb)]:
        told = told_to(tmp_path, options, tool)
        assert {name: value for name, value in told.items() if "ssl" in name or "key" in name} == expected
    told = told_to(tmp_path, options, MYSQLDUMP_5)
    assert told["ssl-mode"] == mysql["ssl-mode"]
    assert "get-server-public-key" not in told
    login = Login.from_settings({"NAME": "db", "OPTIONS": options})
    assert login.must_encrypt is (mysql["ssl-mode"] not in {"DISABLED", "PREFERRED"})


@pytest.mark.parametrize(
    "options",
    [
        {"ssl_mode": "MAYBE"},
        {"ssl_key": "/k", "ssl_key_password": "hidden"},
        {"ssl": {"key": "/k", "password": "hidden"}},
        {"ssl": ssl.create_default_context()},
    ],
)
def test_tls_that_no_program_can_be_told(options: dict[str, Any]):
    login = Login.from_settings({"NAME": "db", "OPTIONS": options})
    with pytest.raises(ConfigurationError, match=r"ssl_mode|passphrase|SSLContext") as caught:
        login.option_file(MARIADB)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "mode"),
    [
        ("", "PREFERRED"), ("ssl", "REQUIRED"), ("ssl=0", "DISABLED"), ("skip-ssl", "DISABLED"),
        ("ssl-ca=/a", "VERIFY_CA"),
        ("ssl_capath=/a", "VERIFY_CA"), ("ssl-verify-server-cert", "VERIFY_IDENTITY"), ("ssl-cert=/a", "REQUIRED"),
        ("ssl-verify-server-cert=off", "PREFERRED"), ("ssl-mode=verify_ca\nssl-ca=/a", "VERIFY_CA"),
        ("ssl-enforce", "REQUIRED"),
    ],
)  # fmt: skip
def test_tls_of_the_default_file(tmp_path: Path, said: str, mode: str):
    path = tmp_path / "their.cnf"
    path.write_text(f"[client]\n{said}\n")
    told = told_to(tmp_path, {"read_default_file": str(path)}, MYSQL)
    assert told["ssl-mode"] == mode
    assert told.get("ssl-ca") == ("/a" if "ssl-ca" in said else None)
    # What the settings say goes before it, the file's certificates stay.
    assert told_to(tmp_path, {"read_default_file": str(path), "ssl_mode": "DISABLED"})["skip-ssl"] is None
    told = told_to(tmp_path, {"read_default_file": str(path), "ssl": {"ca": "/b"}}, MYSQL)
    assert (told["ssl-mode"], told["ssl-ca"]) == ("VERIFY_CA", "/b")


def test_unknown_mode_in_the_default_file(tmp_path: Path):
    path = tmp_path / "their.cnf"
    path.write_text("[client]\nssl-mode=MAYBE\n")
    with pytest.raises(ConfigurationError, match="option file is 'MAYBE'"):
        assert Login.from_settings({"NAME": "db", "OPTIONS": {"read_default_file": str(path)}}).must_encrypt


@pytest.mark.parametrize("version", ["5.7.44", "8.0.36", "9.4.0"])
def test_every_line_is_known_to_the_program(tmp_path: Path, version: str):
    fake = write_tools(tmp_path / "bin", version)
    for options, _, _ in TLS:
        everything = {**options, "connect_timeout": 5, "compress": True, "auth_plugin": "x", "bind_address": "::1"}
        login = Login.from_settings({"NAME": "db", "USER": "u", "PASSWORD": "p", "PORT": 1, "OPTIONS": everything})
        for tool in (find_dump_tool(path=str(fake.folder)), find_client(path=str(fake.folder))):
            path = tmp_path / "my.cnf"
            path.touch(0o600)
            path.write_text(login.option_file(tool))
            args = [tool.path, f"--defaults-extra-file={path}"]
            subprocess.run(args, check=True, input="SELECT VERSION();", text=True, capture_output=True)
            assert fake.calls()[-1]["mode"] == "0o600"
    assert {call["program"] for call in fake.calls()} == {"mysql", "mysqldump"}


# MariaDB's programs and servers.


@pytest.fixture
def other_ca(tmp_path: Path) -> Path:
    """Return a certificate authority that has signed nothing."""
    path = tmp_path / "other.crt"
    subject = ["-subj", "/CN=other", "-days", "2"]
    new = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        str(tmp_path / "key"),
        "-out",
        str(path),
    ]
    subprocess.run([*new, *subject], check=True, capture_output=True)
    return path


@pytest.fixture
def without_tls(mariadb: MariaDB) -> Iterator[MariaDB]:
    mariadb.restart("--skip-ssl")
    yield mariadb
    mariadb.restart()


def cipher(server: MariaDB, tool: Tool, folder: Path, **options: Any) -> str:
    """Return the cipher of a connection, "" for none; "refused" if the program does not connect."""
    settings = server.settings("information_schema")
    login = Login.from_settings({**settings, "OPTIONS": {**settings["OPTIONS"], **options}})
    path = folder / "my.cnf"
    path.write_text(login.option_file(tool))
    question = "SHOW SESSION STATUS LIKE 'Ssl_cipher'"
    args = [tool.path, f"--defaults-extra-file={path}", "--batch", "--skip-column-names", f"--execute={question}"]
    run = subprocess.run(args, check=False, capture_output=True, text=True)
    assert run.returncode == 0 or "TLS/SSL error" in run.stderr
    return "refused" if run.returncode else run.stdout.split("\t")[1].strip()


@requires("mariadb", "mariadb:newer", "openssl")
def test_certificates(mariadb: MariaDB, newer_mariadb: MariaDB, tmp_path: Path, other_ca: Path):
    for client in (find_client(path=str(server.bin_dir)) for server in (mariadb, newer_mariadb)):
        for server in (mariadb, newer_mariadb):
            ca = str(server.ca_file)
            encrypted: list[dict[str, Any]] = [
                {},
                {"ssl": {}},
                {"ssl": True},
                {"ssl_mode": "REQUIRED"},
                {"ssl": {"ca": ca}},
            ]
            for options in encrypted:
                assert cipher(server, client, tmp_path, **options) not in {"", "refused"}
            assert cipher(server, client, tmp_path, ssl={"ca": ca}, ssl_mode="VERIFY_IDENTITY") not in {"", "refused"}
            wrong: list[dict[str, Any]] = [
                {"ssl": {"ca": str(other_ca)}}, {"ssl_ca": str(other_ca), "ssl_verify_identity": True}
            ]  # fmt: skip
            for given in wrong:
                assert cipher(server, client, tmp_path, **given) == "refused"
            assert cipher(server, client, tmp_path, ssl_mode="REQUIRED", ssl={"ca": str(other_ca)}) != "refused"
            assert cipher(server, client, tmp_path, ssl_mode="DISABLED") == ""


@requires("mariadb", "mariadb:newer")
def test_server_without_tls(without_tls: MariaDB, newer_mariadb: MariaDB, tmp_path: Path):
    for client in (find_client(path=str(server.bin_dir)) for server in (without_tls, newer_mariadb)):
        assert cipher(without_tls, client, tmp_path) == ""
        assert cipher(without_tls, client, tmp_path, ssl={"ca": str(without_tls.ca_file)}) == "refused"
        # Login.must_encrypt is there because the programs do not refuse.
        assert cipher(without_tls, client, tmp_path, ssl_mode="REQUIRED") == ""
