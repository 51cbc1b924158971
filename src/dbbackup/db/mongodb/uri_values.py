"""How the value of a connection's option is written into a connection string, as both drivers read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from dbbackup.db.mongodb.uri import encoded
from dbbackup.exceptions import ConfigurationError

_LONGEST_WAIT = 10_000
_MODES = {"primary", "primarypreferred", "secondary", "secondarypreferred", "nearest"}
_MECHANISMS = {
    *("SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN"),
    *("MONGODB-X509", "GSSAPI", "MONGODB-AWS", "MONGODB-OIDC"),
}
_PROPERTIES = {
    *("SERVICE_NAME", "SERVICE_HOST", "SERVICE_REALM", "CANONICALIZE_HOST_NAME"),
    *("AWS_SESSION_TOKEN", "ENVIRONMENT", "TOKEN_RESOURCE"),
}


def is_true(name: str, value: object) -> bool:
    """Return a boolean that may be written as in a connection string."""
    text = str(value).lower()
    if isinstance(value, bool | str) and text in {"true", "false"}:
        return text == "true"
    raise ConfigurationError(f"The connection's option {name} must be true or false.")


# Each returns the text, or None to leave the option out.


def _text(name: str, value: object) -> str | None:  # noqa: ARG001 as the others
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return encoded(text) if text else None


def _switch(name: str, value: object) -> str:
    return str(is_true(name, value)).lower()


def _number(name: str, value: Any) -> int:
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        raise ConfigurationError(f"The connection's option {name} must be a number.") from None


def _positive(name: str, value: object) -> str | None:
    # 0 and -1 stand for the drivers' default, where one of them does not refuse them.
    return str(number) if (number := _number(name, value)) > 0 else None


def _at_least_0(name: str, value: object) -> str | None:
    return str(number) if (number := _number(name, value)) >= 0 else None


def _wait(name: str, value: object) -> str:
    # An answer is promised soon, and the tools count in whole seconds: 0 of them would be for ever.
    number = _number(name, value)
    seconds = -(-min(number, _LONGEST_WAIT) // 1000) if number > 0 else 0
    return str(seconds * 1000 or _LONGEST_WAIT)


def _write_concern(name: str, value: object) -> str | None:
    # Writes that nobody confirms would make a restore that cannot be trusted.
    return None if str(value) == "0" else _text(name, value)


def _file(name: str, value: Any) -> str:
    # The drivers take a path as it is, and so do the tools, wherever they run.
    path = Path(value.decode() if isinstance(value, bytes) else str(value))
    try:
        path = path.expanduser().absolute()
        with path.open("rb"):
            return encoded(str(path))
    except (OSError, RuntimeError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise ConfigurationError(f"The file of {name} cannot be read: {path}: {reason}") from exc


def _mechanism(name: str, value: object) -> str | None:
    text = str(value).upper()
    if text not in {*_MECHANISMS, "DEFAULT"}:
        raise ConfigurationError(f"The connection's option {name} must be one of {', '.join(sorted(_MECHANISMS))}.")
    return None if text == "DEFAULT" else text


def _mode(name: str, value: object) -> str:
    text = str(value)
    if text.lower() not in _MODES:
        raise ConfigurationError(f"The connection's option {name} is no read preference.")
    return text


def _monitoring(name: str, value: object) -> str:
    if value not in {"auto", "stream", "poll"}:
        raise ConfigurationError(f"The connection's option {name} must be auto, stream or poll.")
    return str(value)


def _tags(name: str, value: Any) -> str:
    if isinstance(value, str):
        pairs = [tuple(map(unquote_plus, tag.split(":"))) for tag in value.split(",")] if value else []
    else:
        pairs = [(str(key), str(tag)) for key, tag in dict(value).items()]
    if any(len(pair) != 2 or "," in "".join(pair) or ":" in "".join(pair) for pair in pairs):
        raise ConfigurationError(f"The connection's option {name} must be sets of name:value without , and : in them.")
    # pymongo wants the separators as they are.
    return ",".join(f"{encoded(key)}:{encoded(tag)}" for key, tag in pairs)


def properties_of(value: Any) -> dict[str, Any]:
    """Return authMechanismProperties, which are a dict or a text as in a connection string."""
    if isinstance(value, Mapping):
        return dict(value)
    pairs = (pair.partition(":") for pair in unquote_plus(str(value)).split(","))
    return {key: text for key, _, text in pairs}


def _properties(name: str, value: object) -> str | None:
    # Functions and lists of hosts, of OIDC, no connection string can hold.
    found = {key: one for key, one in properties_of(value).items() if key in _PROPERTIES}
    texts = {key: str(one).lower() if isinstance(one, bool) else str(one) for key, one in found.items()}
    if any("," in text or not text for text in texts.values()):
        raise ConfigurationError(f"The connection's option {name} must be name:value with no commas in the values.")
    return encoded(",".join(f"{key}:{text}" for key, text in texts.items())) or None


WRITERS: dict[str, tuple[str, Callable[[str, Any], str | None]]] = {
    spelled.lower(): (spelled, write)
    for write, names in (
        (_text, "appName authSource replicaSet readConcernLevel srvServiceName tlsCertificateKeyFilePassword"),
        (_mechanism, "authMechanism"),
        (_properties, "authMechanismProperties"),
        (_switch, "directConnection loadBalanced retryReads retryWrites journal"),
        (_switch, "tls tlsInsecure tlsDisableOCSPEndpointCheck"),
        (_file, "tlsCAFile tlsCertificateKeyFile"),
        (_mode, "readPreference"),
        (_tags, "readPreferenceTags"),
        (_positive, "maxStalenessSeconds heartbeatFrequencyMS wTimeoutMS srvMaxHosts"),
        (_at_least_0, "localThresholdMS"),
        (_wait, "connectTimeoutMS serverSelectionTimeoutMS"),
        (_monitoring, "serverMonitoringMode"),
        (_write_concern, "w"),
    )
    for spelled in names.split()
}
