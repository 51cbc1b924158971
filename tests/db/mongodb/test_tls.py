"""Backups and restores over TLS: authorities, certificates of the client, and servers that have it or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from dbbackup.exceptions import DBBackupError
from tests.db.mongodb.conftest import Database, MakeDatabase
from tests.requirements import requires
from tests.servers.mongodb import MongoDB

pytestmark = requires("mongodb")

Options = dict[str, Any]
SECRET = "the key's: own #password% ü"


@pytest.fixture
def options(mongodb: MongoDB) -> Iterator[Options]:
    """Return what a client needs of a server that speaks TLS alone."""
    with mongodb.tls() as options:
        yield {"authSource": mongodb.owner.source, **options}


@pytest.fixture
def strict_options(mongodb: MongoDB) -> Iterator[Options]:
    """Return what a client needs of a server that wants to see a certificate."""
    with mongodb.tls(client_certificates=True) as options:
        yield {"authSource": mongodb.owner.source, **options}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a server that lets nobody in looked for less long."""
    monkeypatch.setattr("dbbackup.db.mongodb.session.CONNECT_TIME", 1.5)


def round_trip(make_database: MakeDatabase, **settings: Any) -> tuple[Database, bytes]:
    """Return a database as it is after a backup and its restore, and the backup."""
    database = make_database(**settings)
    database.db["t"].insert_one({"_id": 1})
    before = database.state()
    dump = database.dump()
    database.db["t"].insert_one({"_id": 2})
    database.restore(dump)
    assert database.state() == before
    assert list(database.tmp.glob("dbbackup-*")) == []
    return database, dump


def refused(database: Database, dump: bytes, **settings: Any) -> list[str]:
    """Return the errors of a dump and of a restore, of a few words each; nothing is changed."""
    before = database.state()
    said = []
    for act in (database.dump, lambda **more: database.restore(dump, **more)):
        with pytest.raises(DBBackupError) as caught:
            act(**settings)
        said.append(str(caught.value))
        assert len(said[-1].splitlines()) <= 3
        assert len(said[-1]) < 1000
    assert database.state() == before
    assert list(database.tmp.glob("dbbackup-*")) == []
    return said


@pytest.mark.usefixtures("short")
def test_server_with_tls(options: Options, make_database: MakeDatabase, mongodb: MongoDB):
    database, dump = round_trip(make_database, OPTIONS=options)
    address = f"{mongodb.host}:{mongodb.port}"
    uri = f"mongodb://{address}/?tls=true&tlsCAFile={mongodb.ca_file}"
    database.dump(HOST=uri, PORT="", OPTIONS={"authSource": mongodb.owner.source})
    login = {"authSource": mongodb.owner.source}
    # The system's authorities do not know the test's.
    for said in refused(database, dump, OPTIONS={**login, "tls": True}):
        assert address in said
        assert "certificate" in said
    insecure = {**login, "tls": True, "tlsInsecure": True}
    database.restore(database.dump(OPTIONS=insecure), OPTIONS=insecure)
    assert all(address in said for said in refused(database, dump, OPTIONS=login))
    missing = "/no/such ca.pem"
    assert all(
        missing in said for said in refused(database, dump, OPTIONS={**login, "tls": True, "tlsCAFile": missing})
    )


@pytest.mark.usefixtures("short")
def test_server_that_wants_a_certificate(
    strict_options: Options, make_database: MakeDatabase, mongodb: MongoDB, tmp_path: Path
):
    folder = tmp_path / "my kéys & 100%"
    folder.mkdir()
    path = folder / "client's #1.pem"
    path.write_bytes(mongodb.client_pem.read_bytes())
    database, dump = round_trip(make_database, OPTIONS={**strict_options, "tlsCertificateKeyFile": str(path)})
    without = {name: value for name, value in strict_options.items() if name != "tlsCertificateKeyFile"}
    assert all(f"{mongodb.host}:{mongodb.port}" in said for said in refused(database, dump, OPTIONS=without))
    missing = str(folder / "not there.pem")
    options = {**without, "tlsCertificateKeyFile": missing}
    assert all(missing in said for said in refused(database, dump, OPTIONS=options))


@pytest.mark.usefixtures("short")
def test_certificate_whose_key_has_a_password(
    strict_options: Options, make_database: MakeDatabase, mongodb: MongoDB, tmp_path: Path
):
    key = serialization.load_pem_private_key((mongodb.root / "client.key").read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(SECRET.encode()),
    )
    path = tmp_path / "client.pem"
    path.write_bytes((mongodb.root / "client.crt").read_bytes() + encrypted)
    options = {**strict_options, "tlsCertificateKeyFile": str(path), "tlsCertificateKeyFilePassword": SECRET}
    database, dump = round_trip(make_database, OPTIONS=options)
    wrong = refused(database, dump, OPTIONS={**options, "tlsCertificateKeyFilePassword": f"not {SECRET}"})
    assert not [said for said in wrong if SECRET in said]


@pytest.mark.usefixtures("short")
def test_server_without_tls(make_database: MakeDatabase, mongodb: MongoDB):
    database, dump = round_trip(make_database)
    demanded = {"authSource": mongodb.owner.source, "tls": True, "tlsCAFile": str(mongodb.ca_file)}
    # Never in the clear instead.
    assert all(f"{mongodb.host}:{mongodb.port}" in said for said in refused(database, dump, OPTIONS=demanded))
