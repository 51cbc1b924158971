"""How the stand-ins connect: addresses and options put together as MongoDB's own tools do."""

from __future__ import annotations

import os
import re
import warnings
from typing import Any
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import ConfigurationError, ConnectionFailure, OperationFailure, PyMongoError
from pymongo.server_description import ServerDescription

from tests.mongo_tools.address import KNOWN, PASSED_ON, Address, built
from tests.mongo_tools.console import Console, FailureError, UsageError, quoted
from tests.mongo_tools.options import Options, Spec

Client = MongoClient[dict[str, Any]]

_NEVER_A_PASSWORD = {"MONGODB-X509", "GSSAPI", "MONGODB-OIDC"}
_EXTERNAL = {*_NEVER_A_PASSWORD, "PLAIN"}
_NO_PASSWORD = "there was no password"
_READ_PREFERENCES = ("primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest")


class Login:
    """What the options and the address say together, where they do not contradict each other."""

    def __init__(self, spec: Spec, options: Options, console: Console) -> None:
        self._spec = spec
        self._options = options
        self._console = console
        self.address = Address.parse(options.value("uri") or built(options.value("host"), options.value("port")))
        self._compare_hosts()
        self.user = self._agreed("username", self.address.user, "username")
        self.source = self._agreed("authSource", self.address.option("authsource"), "authenticationDatabase")
        mechanism = self.address.option("authmechanism")
        self.mechanism = self._agreed("authMechanism", mechanism, "authenticationMechanism")
        self.database = self._agreed("database", self.address.database, "db")
        self.password = self._password()

    def name_unknown_options(self) -> None:
        """Name the options of the address that have no meaning."""
        for key, _ in self.address.options:
            if key.lower() not in KNOWN:
                self._console.say(f"WARNING: ignoring unsupported URI parameter {quoted(key.lower())}")

    def client(self) -> Client:
        """Return a client that has reached the server and logged in."""
        try:
            client = self._client()
        except (PyMongoError, OSError, ValueError) as error:
            raise FailureError(f"error configuring the connector: {error}") from error
        try:
            client.admin.command("ping")
        except PyMongoError as error:
            raise FailureError(f"failed to connect to {self.address.text}: {self.reason(client, error)}") from error
        return client

    def reason(self, client: Client, error: PyMongoError) -> str:
        """Return why no connection came to be, in the words of the real tools."""
        if isinstance(error, OperationFailure):
            mechanism = self.mechanism or "SCRAM-SHA-256"
            return (
                "connection() error occurred during connection handshake: auth error: "
                f'unable to authenticate using mechanism "{mechanism}": {described(error)}'
            )
        return described(error, client)

    def _client(self) -> Client:
        address = self.address
        passed = [(key, value) for key, value in address.options if key.lower() in PASSED_ON]
        passed = [
            (key, value) for key, value in passed if self._spec.name == "mongodump" or "readpref" not in key.lower()
        ]
        query = "&".join(f"{key}={quote(value, safe=',:')}" for key, value in passed)
        arguments: dict[str, Any] = {
            **self._authentication(),
            **self._tls(),
            **self._read_preference(),
            # Whole seconds, and none at all is as good as not said.
            "serverSelectionTimeoutMS": 1000
            * (self._seconds("serverSelectionTimeout", "serverselectiontimeoutms") or 30),
            "connectTimeoutMS": 1000 * (self._seconds("dialTimeout", "connecttimeoutms") or 3),
            "datetime_conversion": "DATETIME_MS",
            "appname": self._spec.name,
        }
        if not any(key.lower() == "w" for key, _ in passed):
            arguments["w"] = "majority"
        alone = not any(key.lower() in {"replicaset", "loadbalanced"} for key, _ in passed)
        if address.scheme == "mongodb" and "," not in address.hosts and alone:
            arguments["directConnection"] = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return MongoClient(f"{address.scheme}://{address.hosts}/?{query}", **arguments)

    def _authentication(self) -> dict[str, Any]:
        if not self.user and self.mechanism not in _NEVER_A_PASSWORD:
            return {}
        found = {
            "username": self.user,
            # The driver takes none for a mistake, where the server knows that it is wrong.
            "password": self.password or ("" if self.mechanism in _NEVER_A_PASSWORD else _NO_PASSWORD),
            "authMechanism": self.mechanism,
            "authSource": self.source or ("$external" if self.mechanism in _EXTERNAL else self.database),
        }
        return {name: value for name, value in found.items() if value}

    def _tls(self) -> dict[str, Any]:
        options, found = self._options, dict[str, Any]()
        if "ssl" in options.flags:
            found["tls"] = True
        if options.flags & {"tlsInsecure", "sslAllowInvalidCertificates", "sslAllowInvalidHostnames"}:
            found["tlsInsecure"] = True
        for option, name in (("sslCAFile", "tlsCAFile"), ("sslPEMKeyFile", "tlsCertificateKeyFile")):
            if options.value(option):
                found[name] = options.value(option)
        if options.value("sslPEMKeyPassword"):
            found["tlsCertificateKeyFilePassword"] = options.value("sslPEMKeyPassword")
        return found

    def _read_preference(self) -> dict[str, Any]:
        said = self._options.value("readPreference")
        mode = said or self.address.option("readpreference")
        if mode.startswith("{"):
            match = re.search(r"""["']?mode["']?\s*:\s*["'](\w+)["']""", mode)
            mode = match[1] if match else ""
        known = {name.lower(): name for name in _READ_PREFERENCES}
        if mode and mode.lower() not in known:
            raise FailureError(f"error parsing --readPreference : unknown read preference {mode}")
        return {"readPreference": known[mode.lower()]} if said else {}

    def _seconds(self, option: str, key: str) -> int:
        return int(self.address.option(key) or 0) // 1000 or self._options.number(option, 0)

    def _agreed(self, what: str, found: str, option: str) -> str:
        said = self._options.value(option)
        if said and found and said != found:
            raise _conflict(what, found, said, f"--{option}")
        return said or found

    def _compare_hosts(self) -> None:
        host, port = self._options.value("host"), self._options.value("port")
        if not self._options.value("uri"):
            return
        hosts = self.address.hosts.split(",")
        if port and any(":" in found and found.rpartition(":")[2] != port for found in hosts):
            raise _conflict("port", self.address.hosts, port, "--port")
        said = built(host, port).removeprefix("mongodb://").partition("/")[0].split(",")
        if host and set(said) != set(hosts):
            raise _conflict("host", self.address.hosts, host, "--host")

    def _password(self) -> str:
        said, found = self._options.value("password"), self.address.password
        if said and found is not None and said != found:
            raise UsageError(
                "Invalid Options: Cannot specify different password in connection URI and command-line option"
            )
        password = said or found or ""
        if self.user and not password and self.mechanism not in _NEVER_A_PASSWORD:
            return self._asked()
        return password

    def _asked(self) -> str:
        if os.isatty(0):
            import getpass

            return getpass.getpass("Enter password for mongo user:")
        self._console.say("reading password from standard input")
        os.write(2, b"Enter password for mongo user:")
        try:
            # One byte at a time: what follows the line may be an archive.
            found = b""
            while (byte := os.read(0, 1)) not in {b"", b"\n", b"\r"}:
                found += byte
        except OSError:
            found = b""
        os.write(2, b"\n")
        return found.decode(errors="replace")


def _conflict(what: str, found: str, said: str, option: str) -> UsageError:
    return UsageError(
        f"Invalid Options: Cannot specify different {what} in connection URI and command-line option "
        f"{quoted(found)} was specified in the URI and {quoted(said)} was specified in the {option} option"
    )


def described(error: PyMongoError, client: Client | None = None) -> str:
    """Return an error in the words of the real tools: a server's with its name, that of a missing server with its."""
    if isinstance(error, OperationFailure):
        details = error.details or {}
        name = details.get("codeName")
        text = str(details.get("errmsg", error))
        return f"({name}) {text}" if name else text
    if isinstance(error, ConnectionFailure) and client is not None:
        found = client.topology_description
        servers = ", ".join(map(_server, found.server_descriptions().values()))
        kind = found.topology_type_name
        return (
            "server selection error: context deadline exceeded, "
            f"current topology: {{ Type: {kind}, Servers: [{servers}{', ' if servers else ''}] }}"
        )
    if isinstance(error, ConfigurationError):
        return f"error configuring client, {error}"
    return str(error)


def _server(server: ServerDescription) -> str:
    host, port = server.address
    where = f"{host}:{port}"
    error = server.error
    text = f", Last error: {_dialled(where, error)}" if error else ""
    return f"{{ Addr: {where}, Type: {server.server_type_name}{text} }}"


def _dialled(where: str, error: Exception) -> str:
    text = str(error)
    if "Connection refused" in text:
        return f"dial tcp {where}: connect: connection refused"
    if "Name or service not known" in text:
        return f"dial tcp: lookup {where.rpartition(':')[0]}: no such host"
    return text
