"""How the programs log in: what Django tells its driver, written to an option file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbbackup.db.mysql.option_file import is_ignored, option_file, read_groups
from dbbackup.db.mysql.tls import tls_mode, tls_options
from dbbackup.db.mysql.tools import Tool
from dbbackup.exceptions import ConfigurationError

_GROUPS = ("client", "client-server", "client-mariadb")
_DUMP_GROUPS = ("mysqldump", "mariadb-dump")
_CLIENT_GROUPS = ("mysql", "mariadb", "mariadb-client")
# Where a driver looks that is told a group but no file.
_SYSTEM_FOLDERS = (Path("/etc"), Path("/etc/mysql"))
# What an option file may say of a connection beside the rest; the first column is the driver's name for it.
_BESIDE = {
    "auth_plugin": "default-auth",
    "bind_address": "bind-address",
    "connect_timeout": "connect-timeout",
    "enable_cleartext_plugin": "enable-cleartext-plugin",
    "plugin_dir": "plugin-dir",
    "protocol": "protocol",
    "ssl_crl": "ssl-crl",
    "ssl_crlpath": "ssl-crlpath",
    "tls_version": "tls-version",
}


@dataclass(frozen=True)
class Login:
    """Where a database is and who asks for it, as Django's driver understands the settings."""

    database: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    host: str = ""
    port: str = ""
    socket: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The OPTIONS."""
    defaults: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    """What the option file says that the OPTIONS name."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Every password of the settings and of that file, also those that do not count."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, home: str | Path | None = None) -> Login:
        """Return the login that merged settings describe.

        OPTIONS go before the settings beside them, as Django hands both to its driver, and all of these before what
        an option file says that the OPTIONS name. Raise ConfigurationError if no database is named or the file is
        not there.
        """
        options = settings.get("OPTIONS") or {}
        defaults = _defaults(options, home)

        def value(setting: str, *names: str) -> str:
            given = [options[name] for name in names if options.get(name) is not None]
            # The last of the names is also that of the option file.
            return _text([*given, settings.get(setting)][0]) or defaults.get(names[-1]) or ""

        database = value("NAME", "db", "database")
        if not database:
            # The dump program would go on and dump nothing, or everything.
            raise ConfigurationError("The database has no NAME.")
        host = value("HOST", "host")
        password = value("PASSWORD", "passwd", "password")
        others = [settings.get("PASSWORD"), options.get("passwd"), options.get("password"), defaults.get("password")]
        secrets = dict.fromkeys(filter(None, [password, *map(_text, others)]))
        socket = _text(options.get("unix_socket")) or (host if host.startswith("/") else defaults.get("socket") or "")
        return cls(
            database,
            value("USER", "user"),
            password,
            "" if host.startswith("/") else host,
            value("PORT", "port"),
            socket,
            options,
            defaults,
            tuple(secrets),
        )

    @property
    def must_encrypt(self) -> bool:
        """Return whether the settings forbid a connection without TLS, which MariaDB's programs cannot be told."""
        return tls_mode(self.options, self.defaults) not in {"DISABLED", "PREFERRED"}

    def option_file(self, tool: Tool, *, home: str | Path | None = None) -> str:
        """Return the option file that tells a program how to connect.

        Without a password in the settings, the one in ~/.my.cnf counts, as if the program had found it there. Nothing
        else of an option file is handed on than what the program knows of connecting: others it would stumble over,
        and some would make a dump incomplete.
        """
        personal = self._personal(home, _DUMP_GROUPS if tool.dumps else _CLIENT_GROUPS)
        charset = self.options.get("charset") or self.defaults.get("default-character-set")
        lines: dict[str, str | None] = {
            "user": self.user or personal.get("user"),
            "password": self.password or personal.get("password"),
            # Said even so: the machine's own option files may name another.
            "host": self.host or "localhost",
            # Said as well, where the driver has a default of its own.
            "port": self.port or ("" if self.socket or self.host in {"", "localhost"} else "3306"),
            "socket": self.socket,
            # Any other could not hold every character, and would lose some in silence.
            "default-character-set": "binary" if charset == "binary" else "utf8mb4",
            **{name: self._beside(key, name) for key, name in _BESIDE.items() if tool.knows(name)},
        }
        given = {name: value for name, value in lines.items() if value}
        return option_file({**given, **self._compression(tool), **tls_options(self.options, self.defaults, tool)})

    def secrets_at_home(self, home: str | Path | None = None) -> tuple[str, ...]:
        """Return the passwords of ~/.my.cnf that may count."""
        found = (self._personal(home, groups).get("password") for groups in (_DUMP_GROUPS, _CLIENT_GROUPS))
        return tuple(filter(None, found))

    def _personal(self, home: str | Path | None, groups: tuple[str, ...]) -> dict[str, str | None]:
        if self.password or self.options.get("read_default_file"):
            return {}
        # Nobody has named it: a home that cannot be looked into has none.
        with suppress(OSError, RuntimeError):
            return read_groups(_home(home) / ".my.cnf", (*_GROUPS, *groups), home=_home(home))
        return {}

    def by_hand(self) -> str:
        """Return the words after the client's name in a shell, with which it asks for the password."""
        given = {"host": self.host, "port": self.port, "socket": self.socket, "user": self.user}
        words = [f"--{name}={value}" for name, value in given.items() if value]
        words += ["--password"] if self.password else []
        return shlex.join([*words, f"--database={self.database}"])

    def _beside(self, key: str, name: str) -> str | None:
        value = _text(self.options.get(key))
        # In an option file the bare name of a switch is enough.
        return value or ("1" if name in self.defaults and self.defaults[name] is None else self.defaults.get(name))

    def _compression(self, tool: Tool) -> dict[str, str | None]:
        if not self.options.get("compress") and "compress" not in self.defaults:
            return {}
        if tool.knows("compression-algorithms"):
            return {"compression-algorithms": "zlib,uncompressed"}
        return {"compress": None} if tool.knows("compress") else {}


def _defaults(options: Mapping[str, Any], given_home: str | Path | None) -> dict[str, str | None]:
    """Return what the option file says that OPTIONS name, and nothing if they name none."""
    file, group = _text(options.get("read_default_file")), _text(options.get("read_default_group"))
    if not file and not group:
        return {}
    home = _home(given_home)
    paths = [folder / "my.cnf" for folder in _SYSTEM_FOLDERS] + [home / ".my.cnf"]
    if file:
        paths = [_named(file, home)]
    found: dict[str, str | None] = {}
    for path in paths:
        try:
            found |= read_groups(path, [*_GROUPS, group], home=home)
        except OSError as exc:
            raise ConfigurationError(f"The option file {path} cannot be read: {exc.strerror}.") from exc
    return found


def _named(file: str, home: Path) -> Path:
    path = home / file[2:] if file.startswith("~/") else Path(file)
    # A bare name is one of the machine's files, unless the driver is the one that opens it as it is.
    paths = [path, *(folder / file for folder in _SYSTEM_FOLDERS if "/" not in file)]
    found = next((candidate for candidate in paths if candidate.is_file()), None)
    if found is None:
        raise ConfigurationError(f"The option file of OPTIONS['read_default_file'] is not there: {file}")
    if is_ignored(found):
        raise ConfigurationError(f"Everybody may write the option file {found}, so no program reads it: chmod o-w it.")
    return found


def _home(given: str | Path | None) -> Path:
    return Path.home() if given is None else Path(given)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    return "" if value is None else str(value)
