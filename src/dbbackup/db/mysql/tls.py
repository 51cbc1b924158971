"""How a connection is encrypted: what Django's drivers are told, in the words of each flavour's programs."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from dbbackup.db.mysql.tools import Tool
from dbbackup.exceptions import ConfigurationError

_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
_FILES = ("ca", "capath", "cert", "key", "cipher")
_OFF = frozenset({"", "0", "off", "false", "no", "none"})

Defaults = Mapping[str, str | None]
"""What option files say."""


def tls_mode(options: Mapping[str, Any], defaults: Defaults) -> str:
    """Return the ssl-mode that a driver's OPTIONS, and the option files that they name, amount to.

    An ``ssl_mode`` is taken as it is. Otherwise a certificate authority is there to be verified against, as MySQL's
    programs and PyMySQL understand it, and the host name is compared where that is asked for; any other option of
    TLS requires it. Without one it is used where the server has it, and nothing is verified, as the drivers do.
    """
    mode = str(options.get("ssl_mode") or "").upper()
    if mode:
        return _known(mode, "OPTIONS['ssl_mode']")
    if options.get("ssl_disabled"):
        return "DISABLED"
    given = _given(options)
    verify = options.get("ssl_verify_cert", given.get("verify_mode"))
    identity = options.get("ssl_verify_identity", given.get("check_hostname"))
    if any((given, verify is not None, identity is not None, options.get("ssl") is True)):
        return _implied({**_files(defaults), **_files_of(given)}, verify, identity)
    return _mode_of(defaults)


def tls_options(options: Mapping[str, Any], defaults: Defaults, tool: Tool) -> dict[str, str | None]:
    """Return the lines of an option file for a program.

    MariaDB's programs cannot verify the certificate without the host name, so VERIFY_CA is VERIFY_IDENTITY for them.
    Nor can they require TLS without verifying: under REQUIRED they take a server that has none.
    """
    mode = tls_mode(options, defaults)
    verifies = mode.startswith("VERIFY")
    if tool.knows("ssl-mode"):
        lines: dict[str, str | None] = {"ssl-mode": mode}
    elif mode == "DISABLED":
        return {"skip-ssl": None}
    else:
        # Newer ones verify if nobody tells them not to, and then refuse servers that the drivers take.
        lines = {"ssl": None, "ssl-verify-server-cert" if verifies else "skip-ssl-verify-server-cert": None}
    if mode == "DISABLED":
        # MySQL 8 asks for a password in the clear or for a key that it would take from TLS.
        lines["get-server-public-key"] = None
    files = {**_files(defaults), **_files_of(_given(options))}
    if not verifies:
        # MySQL's warn that they do not verify against them, MariaDB's older ones do verify.
        files = {name: value for name, value in files.items() if name not in {"ssl-ca", "ssl-capath"}}
    return {name: value for name, value in {**lines, **files}.items() if tool.knows(name)}


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the driver is given for TLS, under the names of the ``ssl`` mapping."""
    given = options.get("ssl")
    if isinstance(given, ssl.SSLContext):
        raise ConfigurationError("No program can take the SSLContext in OPTIONS['ssl']. Use a dict with ca, cert, key.")
    found = dict(given) if isinstance(given, Mapping) else {}
    # PyMySQL's own.
    found |= {name: options[f"ssl_{name}"] for name in _FILES if options.get(f"ssl_{name}")}
    if found.get("password") or options.get("ssl_key_password"):
        raise ConfigurationError("MySQL's programs take no passphrase for a key. Use a key without one (mode 0600).")
    return {name: value for name, value in found.items() if value is not None}


def _files_of(given: Mapping[str, Any]) -> dict[str, str | None]:
    return {f"ssl-{name}": str(given[name]) for name in _FILES if given.get(name)}


def _files(defaults: Defaults) -> dict[str, str | None]:
    return {f"ssl-{name}": defaults[f"ssl-{name}"] for name in _FILES if defaults.get(f"ssl-{name}")}


def _implied(files: Defaults, verify: Any, identity: Any) -> str:
    """Return the mode of a connection for which something is given, from what is said of verifying."""
    if verify is not None and (not verify or str(verify).lower() in _OFF):
        return "REQUIRED"
    if identity:
        return "VERIFY_IDENTITY"
    return "VERIFY_CA" if verify or "ssl-ca" in files or "ssl-capath" in files else "REQUIRED"


def _mode_of(defaults: Defaults) -> str:
    """Return the mode that option files amount to."""
    if mode := defaults.get("ssl-mode"):
        return _known(mode.upper(), "ssl-mode of the option file")
    if _is_on(defaults, "skip-ssl") or ("ssl" in defaults and not _is_on(defaults, "ssl")):
        return "DISABLED"
    files = _files(defaults)
    if _is_on(defaults, "ssl-verify-server-cert"):
        return "VERIFY_IDENTITY"
    if "ssl-ca" in files or "ssl-capath" in files:
        return "VERIFY_CA"
    return "REQUIRED" if files or _is_on(defaults, "ssl") or _is_on(defaults, "ssl-enforce") else "PREFERRED"


def _is_on(defaults: Defaults, name: str) -> bool:
    return name in defaults and (defaults[name] is None or str(defaults[name]).lower() not in _OFF)


def _known(mode: str, where: str) -> str:
    if mode not in _MODES:
        raise ConfigurationError(f"{where} is {mode!r}; it may be {', '.join(_MODES)}.")
    return mode
