"""How the driver and the programs log in: what Django tells its driver, as one connection string."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dbbackup.db.mongodb.uri import UserUri, build_uri, is_uri, parse_uri, port_number, spellings, split_hosts
from dbbackup.db.mongodb.uri_options import secret_values, todays, written
from dbbackup.exceptions import ConfigurationError

# These know users of another place than a database.
_EXTERNAL = {"MONGODB-X509", "GSSAPI", "MONGODB-AWS", "MONGODB-OIDC"}
_WITHOUT_USER = {"MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC"}
_WITHOUT_PASSWORD = {"MONGODB-X509", "GSSAPI", "MONGODB-OIDC"}
_NEVER_A_PASSWORD = {"MONGODB-X509", "MONGODB-OIDC"}
_PREFERENCES = ("readpreference", "maxstaleness")
# What somebody at a terminal need not type: the haste of a program, and what a program asks for.
_NOT_BY_HAND = {"appname", "connecttimeoutms", "serverselectiontimeoutms", "tlscertificatekeyfilepassword"}


@dataclass(frozen=True)
class Login:
    """Where a database is and who asks for it, as pymongo understands the settings."""

    database: str
    uri: str = field(repr=False)
    """The connection string, with the secrets, in a form that pymongo and the programs read alike; it names no
    database, and always has options."""
    hosts: str
    """For messages: name:port or the paths of sockets, or the one name to look up."""
    user: str = ""
    auth_source: str = ""
    """Where the user is known; empty if nobody says it."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Every password of the settings, also those that do not count, in each form that a program may print."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Login:
        """Return the login that merged settings describe.

        HOST, PORT, USER and PASSWORD go before the CLIENT of djongo, and all of these before what a connection string
        in HOST says; AUTH_SOURCE goes before every authSource. Raise ConfigurationError if no database is named,
        or the two drivers could not be told the same; it shows no secret.
        """
        options, client = (_lower(settings.get(key)) for key in ("OPTIONS", "CLIENT"))
        # MongoClient gets HOST beside the OPTIONS, which go before it; the others are set over them.
        address = _address(options.get("host")) or _address(settings.get("HOST")) or _address(client.get("host"))
        given = parse_uri(address) if is_uri(address) else UserUri(is_srv=False, hosts=address)
        database = _text(settings.get("NAME")) or given.database
        if not database:
            # The dump program would go on and dump every database.
            raise ConfigurationError("The database has no NAME.")

        def value(setting: str, name: str, in_uri: str = "") -> str:
            return _text(settings.get(setting)) or _text(options.get(name)) or _text(client.get(name)) or in_uri

        chosen = {**todays(given.options), **todays(client), **todays(options)}
        user = value("USER", "username", given.user)
        password = value("PASSWORD", "password", given.password)
        mechanism = _text(chosen.get("authmechanism")).upper().replace("DEFAULT", "")
        _refuse_half_credentials(user, password, mechanism)
        said = _text(chosen.pop("authsource", ""))
        source = _source(_text(settings.get("AUTH_SOURCE")) or said or given.database, mechanism)
        # The programs would log in as nobody if they were told where.
        source = source if user or mechanism else ""
        if source:
            chosen["authsource"] = source
        hosts = split_hosts(given.hosts, port_number(value("PORT", "port")), is_srv=given.is_srv)
        pairs = written(chosen, is_srv=given.is_srv)
        hidden = "" if mechanism in _NEVER_A_PASSWORD else password
        uri = build_uri(hosts, user, hidden, pairs, srv=given.is_srv)
        return cls(database, uri, ",".join(hosts), user, source, _secrets(settings, given, options, client))

    def on_primary(self) -> Login:
        """Return the same login without a preference for other servers than the one that is written to."""
        head, _, query = self.uri.partition("?")
        kept = [pair for pair in query.split("&") if not pair.lower().startswith(_PREFERENCES)]
        return replace(self, uri=f"{head}?{'&'.join(kept)}")

    def uri_with(self, **options: Any) -> str:
        """Return the connection string with more options, of those that it does not have."""
        head, _, query = self.uri.partition("?")
        pairs = [pair.partition("=") for pair in query.split("&")]
        has = {name.lower() for name, _, _ in pairs}
        has |= set() if self._logs_in else {"authsource"}
        is_srv = head.startswith("mongodb+srv:")
        more = [(name, text) for name, text in written(todays(options), is_srv=is_srv) if name.lower() not in has]
        return f"{head}?{'&'.join([f'{name}={text}' for name, _, text in pairs] + [f'{n}={t}' for n, t in more])}"

    def by_hand(self, **options: Any) -> str:
        """Return the words after a program's name in a shell, with which it asks for the password.

        They hold no secret, and the ``options`` that the connection string does not have.
        """
        head, _, query = self.uri_with(**options).partition("?")
        scheme, _, rest = head.partition("://")
        userinfo, at, place = rest.rpartition("@")
        pairs = [(pair.partition("=")[0].lower(), pair) for pair in query.split("&")]
        kept = "&".join(pair for name, pair in pairs if name not in _NOT_BY_HAND and "AWS_SESSION_TOKEN" not in pair)
        uri = f"{scheme}://{userinfo.partition(':')[0]}{at}{place}{kept and '?'}{kept}"
        return shlex.join([f"--uri={uri}"])

    @property
    def auth_sources(self) -> tuple[str, ...]:
        """Return where the user may be known, in the order to try; one empty name if nobody logs in."""
        if self.auth_source or not self._logs_in:
            return (self.auth_source,)
        return tuple(dict.fromkeys(["admin", self.database]))

    @property
    def key(self) -> tuple[str, ...]:
        """Return what tells this database from every other."""
        return ("mongodb", self.hosts, self.database)

    @property
    def _logs_in(self) -> bool:
        return bool(self.user) or "authMechanism=" in self.uri


def config_file(uri: str) -> str:
    """Return the file for --config that tells a program where to connect, without a secret in its arguments."""
    # The connection string is ASCII, where a text of JSON is one of YAML.
    return f"uri: {json.dumps(uri)}\n"


def _refuse_half_credentials(user: str, password: str, mechanism: str) -> None:
    if mechanism and not user and mechanism not in _WITHOUT_USER:
        raise ConfigurationError(f"The database has no USER, which {mechanism} takes.")
    if user and not password and mechanism not in _WITHOUT_PASSWORD:
        # The programs would ask for one, at a terminal.
        raise ConfigurationError("The database has a USER, but no PASSWORD.")


def _source(said: str, mechanism: str) -> str:
    if mechanism in _EXTERNAL:
        return "$external"
    return said or ("$external" if mechanism == "PLAIN" else "")


def _secrets(settings: Mapping[str, Any], given: UserUri, *others: Mapping[str, Any]) -> tuple[str, ...]:
    found = [_text(settings.get("PASSWORD")), given.password, *secret_values(given.options)]
    for mapping in others:
        found += secret_values(mapping)
    for host in (settings.get("HOST"), *(mapping.get("host") for mapping in others)):
        # As it stands there; and in one that does not count, whatever is wrong with it.
        userinfo = _address(host).rpartition("@")[0].partition("://")[2]
        found.append(userinfo.partition(":")[2])
    return spellings(dict.fromkeys(found))


def _lower(options: Any) -> dict[str, Any]:
    return {str(name).lower(): value for name, value in (options or {}).items()}


def _address(value: Any) -> str:
    # MongoClient takes a list as well.
    return ",".join(map(_text, value)) if isinstance(value, list | tuple) else _text(value)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    return "" if value is None else str(value)
