"""A connection to the server for what is asked beside the tools, and the file that tells the tools how to log in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymongo
from pymongo import MongoClient, ReadPreference
from pymongo import errors as pymongo_errors
from pymongo.database import Database

from dbbackup.db.mongodb.errors import ServerError, advice
from dbbackup.db.mongodb.login import Login, config_file
from dbbackup.exceptions import ConfigurationError
from dbbackup.streams import Workspace

ANSWER_TIME = 60.0
"""Seconds that the server has for a question."""
CONNECT_TIME = 10.0
"""Seconds that it has to let a client in, and to say that it is there."""

_CLOSE_TIME = 1.0
_TLS = re.compile(r"\b(?:SSL|TLS)|certificate", re.IGNORECASE)
_TLS_ADVICE = "Check tls, tlsCAFile and tlsCertificateKeyFile in OPTIONS, and the name in the server's certificate."
_AUTHENTICATION_FAILED = 18
Document = dict[str, Any]


class Session:
    """Ask the server of one login, and start tools there. close() ends the connection and removes the file."""

    def __init__(self, login: Login, what: str, *, directory: Path | None) -> None:
        """Take what it is for, as "dump database 'default'"."""
        self.login = login
        self._what = what
        self._client: MongoClient[Document] | None = None
        self._auth_source = ""
        self._config: Path | None = None
        self._hello: Mapping[str, Any] = {}
        self._workspace = Workspace(directory)

    def close(self) -> None:
        """End the connection and remove the file with the password."""
        client, self._client = self._client, None
        try:
            if client is not None:
                # A server that is gone need not be told that nobody asks it any more: the driver would look for it.
                with pymongo.timeout(_CLOSE_TIME):
                    client.close()
        finally:
            self._workspace.close()

    @property
    def client(self) -> MongoClient[Document]:
        """Return the connection; ServerError if there is no server, or it lets nobody in."""
        if self._client is None:
            self._client = self._connect()
        return self._client

    @property
    def hello(self) -> Mapping[str, Any]:
        """Return what the server says of itself."""
        assert self.client is not None
        return self._hello

    @property
    def found(self) -> dict[str, str]:
        """Return what the tools must be told: the driver finds by itself where the user is known, and a replica set."""
        options = {"replicaSet": self.hello.get("setName"), "authSource": self._auth_source}
        return {name: str(value) for name, value in options.items() if value}

    def database(self, name: str | None = None) -> Database[Document]:
        """Return a database of the server, by default that of the settings, as it is on the primary."""
        return self.client.get_database(name or self.login.database, read_preference=ReadPreference.PRIMARY)

    def config_args(self) -> list[str]:
        """Return the argument that tells a tool where the server is and how to log in."""
        if self._config is None:
            path = self._workspace.path / "config.yaml"
            try:
                path.touch(0o600)
                path.write_text(config_file(self.login.uri_with(**self.found)), encoding="utf-8")
            except OSError as exc:
                raise ConfigurationError(
                    f"Cannot write a temporary file in {self._workspace.path.parent}: {exc.strerror or exc}. "
                    "Make room there, or set DBBACKUP_TMP_DIR to another folder."
                ) from exc
            self._config = path
        return [f"--config={self._config}"]

    @contextmanager
    def asking(self, seconds: float | None = None) -> Iterator[None]:
        """Give the server that many seconds for what a block asks, and turn the driver's errors into ours."""
        try:
            with pymongo.timeout(ANSWER_TIME if seconds is None else seconds):
                yield
        except pymongo_errors.ConnectionFailure as exc:
            reason = str(exc).partition(", Timeout:")[0].partition(" (configured timeouts:")[0]
            cure = _TLS_ADVICE if _TLS.search(reason) else ""
            raise self._error(f"does not answer: {reason}", cure, gone=True) from exc
        except pymongo_errors.OperationFailure as exc:
            raise self._refusal(exc) from exc
        except (pymongo_errors.ConfigurationError, pymongo_errors.InvalidURI) as exc:
            raise ConfigurationError(f"The settings of the MongoDB connection are wrong: {exc}") from exc
        except (pymongo_errors.PyMongoError, OSError) as exc:
            raise self._error(f"cannot be asked: {exc}") from exc

    def ping(self) -> None:
        """Raise ServerError if the server does not answer."""
        with self.asking(CONNECT_TIME):
            self.client.admin.command("ping")

    def _connect(self) -> MongoClient[Document]:
        """Return a connection, with the first database that knows the user and its password."""
        sources = self.login.auth_sources
        for source in sources:
            uri = self.login.uri_with(authSource=source) if source else self.login.uri
            with self.asking(CONNECT_TIME):
                client: MongoClient[Document] = MongoClient(uri)
                try:
                    self._hello = client.admin.command("hello")
                except BaseException as exc:
                    client.close()
                    if _is_login_failure(exc) and source != sources[-1]:
                        continue
                    raise
            self._auth_source = source
            return client
        raise AssertionError("there is always a way to log in")

    def _refusal(self, exc: pymongo_errors.OperationFailure) -> ServerError:
        said = str((exc.details or {}).get("errmsg") or exc)
        if exc.timeout:
            return self._error(f"does not answer in time: {said}", gone=True)
        if _is_login_failure(exc):
            sources = " or ".join(filter(None, self.login.auth_sources)) or "none"
            user = f"{self.login.user!r} (authentication database: {sources})" if self.login.user else "nobody"
            return self._error(f"refuses the authentication of {user}: {said}", advice(said))
        return self._error(f"refuses: {said}", advice(said))

    def _error(self, reason: str, cure: str = "", *, gone: bool = False) -> ServerError:
        message = f"Cannot {self._what}: the MongoDB server at {self.login.hosts} {reason}"
        return ServerError(f"{message}\n{cure}".rstrip(), gone=gone)


def _is_login_failure(exc: BaseException) -> bool:
    return isinstance(exc, pymongo_errors.OperationFailure) and exc.code == _AUTHENTICATION_FAILED
