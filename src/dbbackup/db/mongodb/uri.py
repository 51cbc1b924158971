"""Connection strings: those of users are taken apart here, and ours are put together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

from dbbackup.exceptions import ConfigurationError

_SCHEMES = ("mongodb", "mongodb+srv")
_DEFAULT_PORT = "27017"
_NAME = re.compile(r"[^\s\x00-\x20/?#\[\]@:,;%&=\\\"'<>|^`{}]+")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOT_IN_A_DATABASE = re.compile(r'[/\\ "$\x00]')
# What ways to encode leave as it is: ours, Python's, and Go's for a user, a piece of a path, and a path.
_SAFE = ("", "/", "$&+,;=", "$&+=:@", "$&+,/:;=@")


@dataclass(frozen=True)
class UserUri:
    """What a connection string in the settings says."""

    is_srv: bool
    hosts: str
    user: str = ""
    password: str = field(default="", repr=False)
    database: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """By their names in lower case; readPreferenceTags are a list, as texts that are still encoded."""


def is_uri(text: str) -> bool:
    """Return whether a HOST is a connection string, whatever else may be wrong with it."""
    return "://" in text


def parse_uri(text: str) -> UserUri:
    """Take a connection string apart, as pymongo does, without a look at the network.

    Raise ConfigurationError if it is malformed; the error shows nothing of it, since any part of it may be what is
    left of a password that is not encoded.
    """
    scheme, _, rest = text.partition("://")
    if scheme not in _SCHEMES:
        raise malformed("it must begin with mongodb:// or mongodb+srv://")
    before, _, query = rest.partition("?")
    authority, _, path = before.partition("/")
    userinfo, has_user, hosts = authority.rpartition("@")
    user, _, password = userinfo.partition(":")
    if "@" in userinfo or ":" in password or "@" in path or (has_user and not user):
        raise malformed("the user and the password must be percent-encoded (urllib.parse.quote_plus)")
    if not hosts:
        raise malformed("it names no host")
    if "#" in hosts + path + query:
        raise malformed("it cannot have a fragment; write %23 for #")
    database = _decoded(path).partition(".")[0]
    if _NOT_IN_A_DATABASE.search(database):
        raise malformed("what follows the hosts is no name of a database")
    return UserUri(scheme == "mongodb+srv", hosts, _decoded(user), _decoded(password), database, _options(query))


def malformed(reason: str) -> ConfigurationError:
    """Return the error for a connection string, or for a HOST that becomes one."""
    return ConfigurationError(f"HOST is not an address that MongoDB's drivers understand: {reason}.")


def _options(query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in filter(None, re.split("[&;]", query)):
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise malformed("its options must be name=value")
        key = _decoded(name).lower()
        if key == "readpreferencetags":
            options.setdefault(key, []).append(value)
        else:
            # Still encoded, because it is given to MongoClient encoded as well where it is a keyword.
            options[key] = value if key == "authmechanismproperties" else _decoded(value)
    return options


def _decoded(text: str) -> str:
    if _BAD_PERCENT.search(text):
        raise malformed("a % must be followed by two hexadecimal digits; write %25 for the character itself")
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        raise malformed("what is percent-encoded must be UTF-8") from None


# Hosts.


def port_number(value: object) -> str:
    """Return a PORT, which may be a number or a text or empty."""
    text = "" if value is None else str(value).strip()
    if text and not _is_port(text):
        raise ConfigurationError("PORT must be a number from 1 to 65535.")
    return text


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536


def split_hosts(text: str, port: str, *, is_srv: bool = False) -> list[str]:
    """Return the hosts of a list with commas as ``name:port`` or as the path of a socket, for people to read."""
    if is_srv:
        if not _NAME.fullmatch(text):
            raise malformed("mongodb+srv:// takes one name and no port")
        return [text]
    return [_host(host.strip(), port or _DEFAULT_PORT) for host in (text or "localhost").split(",")]


def _host(text: str, port: str) -> str:
    if text.endswith(".sock"):
        path = text if text.startswith("/") else _decoded(text)
        if ":" in path:
            # Go's driver would look for a port behind it.
            raise malformed("the path of a socket cannot have a colon")
        return path
    name, own_port = text, ""
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        name = f"[{_ipv6(name if bracket else '')}]"
        own_port = rest[1:] if rest.startswith(":") and rest != ":" else rest and "none"
    elif text.count(":") > 1:
        name = f"[{_ipv6(text)}]"
    else:
        name, colon, own_port = text.partition(":")
        own_port = own_port or ("none" if colon else "")
        if not _NAME.fullmatch(name):
            raise malformed("a host is a name, an address, or the path of a socket that ends in .sock")
    if own_port and not _is_port(own_port):
        raise malformed("a port is not a number from 1 to 65535 (is a user or a password not percent-encoded?)")
    return f"{name}:{own_port or port}"


def _ipv6(text: str) -> str:
    address = text.replace("%25", "%")
    try:
        IPv6Address(address)
    except ValueError:
        raise malformed("an IPv6 address stands in brackets, [::1]:27017") from None
    return address


def _encoded_host(host: str) -> str:
    if host.endswith(".sock"):
        return encoded(host)
    try:
        # Neither driver decodes a name, and Go's does not know of letters beyond ASCII.
        return host.replace("%", "%25") if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise malformed("a host's name is not one that the DNS can hold") from None


# Ours.


def encoded(text: str) -> str:
    """Return a text percent-encoded in the only way that pymongo and Go's driver read alike everywhere."""
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise ConfigurationError("A text in the settings of the database cannot be encoded as UTF-8.") from None


def build_uri(hosts: Iterable[str], user: str, password: str, options: Iterable[tuple[str, str]], *, srv: bool) -> str:
    """Return a connection string; the values of the options are encoded already."""
    userinfo = f"{encoded(user)}{':' if password else ''}{encoded(password)}@" if user else ""
    query = "&".join(f"{name}={value}" for name, value in options)
    return f"{_SCHEMES[srv]}://{userinfo}{','.join(map(_encoded_host, hosts))}/{query and '?'}{query}"


def spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Return every form in which a program may print the secrets, the longest first."""
    found: set[str] = set()
    for secret in filter(None, secrets):
        in_utf8 = secret.encode(errors="surrogatepass")
        found |= {secret, quote_plus(in_utf8), *(quote(in_utf8, safe=safe) for safe in _SAFE)}
        # As Python's and Go's errors quote a value.
        found |= {repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    # Whole words first: the rest of a longer one would be left to read.
    return tuple(sorted(found, key=lambda text: (-len(text), text)))
