"""How PostgreSQL's programs log in: a connection string, libpq's environment variables, a file with the password."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dbbackup.db.postgresql.names import quote_parameter
from dbbackup.exceptions import ConfigurationError

# PostgreSQL manual, "libpq - C Library", "Environment Variables".
_VARIABLES = {
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "gssdelegation": "PGGSSDELEGATION",
    "gssencmode": "PGGSSENCMODE",
    "gsslib": "PGGSSLIB",
    "hostaddr": "PGHOSTADDR",
    "krbsrvname": "PGKRBSRVNAME",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "max_protocol_version": "PGMAXPROTOCOLVERSION",
    "min_protocol_version": "PGMINPROTOCOLVERSION",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "service": "PGSERVICE",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "sslcert": "PGSSLCERT",
    "sslcertmode": "PGSSLCERTMODE",
    "sslcompression": "PGSSLCOMPRESSION",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslsni": "PGSSLSNI",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
# What libpq has no variable for goes into the connection string.
_PARAMETERS = ("keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "tcp_user_timeout")


@dataclass(frozen=True)
class Login:
    """Where a database is and who asks for it, from Django's settings; empty values are left to libpq."""

    database: str = ""
    host: str = ""
    port: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Login:
        """Return the login that merged settings describe; ConfigurationError for one that cannot be kept secret."""
        options = settings.get("OPTIONS") or {}
        if options.get("sslpassword"):
            raise ConfigurationError(
                "PostgreSQL's programs take an sslpassword only where everybody can read it. "
                "Use a key without a passphrase (mode 0600) in OPTIONS['sslkey']."
            )
        # Django hands its driver the options first, then the settings that are not empty.
        database, host, port, user, password = (
            str(settings.get(key) or options.get(option) or "")
            for key, option in [
                ("NAME", "dbname"), ("HOST", "host"), ("PORT", "port"), ("USER", "user"), ("PASSWORD", "password")
            ]
        )  # fmt: skip
        if not database and not options.get("service"):
            # libpq would take the database that is called like the user.
            raise ConfigurationError("The database has no NAME, and no OPTIONS['service'] to give one.")
        return cls(database, host, port, user, password, options)

    def as_user(self, user: str, password: str | None) -> Login:
        """Return the same database for somebody else."""
        return replace(self, user=user, password=password or "")

    def connection(self, application: str) -> list[str]:
        """Return the arguments that tell a program where to connect; they hold no secret.

        The names stand in a connection string, where no character of them can mean anything else, and which goes
        before what a service says.
        """
        # A service goes before variables, but not before what is given for this database.
        beside = _VARIABLES.keys() - ({"passfile"} if self.password else ()) if self.options.get("service") else ()
        parts = {
            **{key: self.options.get(key) for key in (*_PARAMETERS, *beside) if key != "service"},
            "dbname": self.database,
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "application_name": application,
        }
        given = {key: str(value) for key, value in parts.items() if value not in {None, ""}}
        text = " ".join(f"{key}={quote_parameter(value)}" for key, value in given.items())
        # Nobody sits at a terminal, and a program that asked would take the dump on its stdin for the answer.
        return [f"--dbname={text}", "--no-password"]

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the variables that tell a program the rest; a password is in a file in ``folder``.

        In the environment itself the other programs of a DUMP_SUFFIX would see it.
        """
        given = {key: value for key, value in self.options.items() if value is not None}
        variables = {_VARIABLES[key]: str(value) for key, value in given.items() if key in _VARIABLES}
        if not self.password:
            return variables
        # No line of a password file can hold these characters.
        if set(self.password) & set("\r\n"):
            return {**variables, "PGPASSWORD": self.password}
        path = folder / f"pgpass-{hashlib.sha256(self.user.encode()).hexdigest()}"
        escaped = self.password.replace("\\", "\\\\").replace(":", "\\:")
        # Renamed when it is whole: a program that another thread starts at this moment reads it too.
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, delete=False) as file:
            file.write(f"*:*:*:*:{escaped}\n")
        Path(file.name).rename(path)
        # An inherited PGPASSWORD would go before the file.
        return {**variables, "PGPASSFILE": str(path), "PGPASSWORD": ""}
