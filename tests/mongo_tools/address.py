"""Connection strings, taken apart as MongoDB's own tools do, and what those make of their options."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from tests.mongo_tools.console import UsageError

_NAMES = """
authmechanismproperties compressors heartbeatfrequencyms journal loadbalanced localthresholdms maxidletimems
maxpoolsize minpoolsize maxconnecting readconcernlevel readpreference readpreferencetags maxstalenessseconds replicaset
retrywrites retryreads srvmaxhosts srvservicename ssl tls tlscertificatekeyfile tlscertificatekeyfilepassword
tlsinsecure tlscafile tlsdisableocspendpointcheck w zlibcompressionlevel
"""
_OTHERS = """
authmechanism authsource connecttimeoutms directconnection serverselectiontimeoutms appname connect sockettimeoutms
timeoutms maxadaptiveretries enableoverloadretargeting servermonitoringmode zstdcompressionlevel
"""
PASSED_ON = frozenset(_NAMES.split())
KNOWN = PASSED_ON | frozenset(_OTHERS.split())
_NUMBERS = ("connectTimeoutMS", "serverSelectionTimeoutMS")


@dataclass
class Address:
    """A connection string in parts."""

    text: str
    scheme: str
    hosts: str
    user: str
    password: str | None
    database: str
    options: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> Address:
        match = re.fullmatch(r"(mongodb(?:\+srv)?)://([^/]*)(/?)(.*)", text, re.DOTALL)
        if match is None:
            raise UsageError('error parsing uri: scheme must be "mongodb" or "mongodb+srv"')
        scheme, authority, slash, rest = match.groups()
        if "?" in authority and not slash:
            raise UsageError("error parsing uri: must have a / before the query ?")
        login, _, hosts = authority.rpartition("@")
        if "@" in login:
            raise UsageError("error parsing uri: unescaped @ sign in user info")
        user, colon, password = login.partition(":")
        if ":" in password:
            raise UsageError("error parsing uri: unescaped colon in password")
        user, secret = _decoded(user, "username"), _decoded(password, "password")
        database, _, query = rest.partition("?")
        options = [(key, unquote(value)) for key, _, value in (pair.partition("=") for pair in re.split("[&;]", query))]
        options = [(key, value) for key, value in options if key]
        for key, value in options:
            name = next((name for name in _NUMBERS if name.lower() == key.lower()), "")
            if name and not value.isdecimal():
                raise UsageError(f'error parsing uri: invalid value for "{name}": "{value}"')
        return cls(text, scheme, hosts, user, secret if colon else None, unquote(database), options)

    def option(self, name: str) -> str:
        """Return the last value of an option, which is named in lower case, or ""."""
        return next((value for key, value in reversed(self.options) if key.lower() == name), "")


def _decoded(text: str, what: str) -> str:
    if bad := re.search("%(?![0-9A-Fa-f]{2}).{0,2}", text):
        raise UsageError(f'error parsing uri: invalid {what}: invalid URL escape "{bad[0]}"')
    return unquote(text)


def built(host: str, port: str) -> str:
    name, slash, hosts = host.rpartition("/")
    seeds = [seed or "localhost" for seed in hosts.split(",")]
    seeds = [f"{seed}:{port}" if port and ":" not in seed else seed for seed in seeds]
    return f"mongodb://{','.join(seeds)}/" + (f"?replicaSet={name}" if slash else "")
