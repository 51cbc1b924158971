"""The options of a connection: what MongoClient may be told, as both drivers find it in a connection string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dbbackup.db.mongodb.uri_values import WRITERS, is_true, properties_of
from dbbackup.exceptions import ConfigurationError

# pymongo's names of before version 4, and those of Go's driver.
_OLD_NAMES = {
    "ssl": "tls",
    "ssl_ca_certs": "tlscafile",
    "sslcafile": "tlscafile",
    "sslcertificateauthorityfile": "tlscafile",
    "ssl_certfile": "tlscertificatekeyfile",
    "sslpemkeyfile": "tlscertificatekeyfile",
    "sslclientcertificatekeyfile": "tlscertificatekeyfile",
    "ssl_pem_passphrase": "tlscertificatekeyfilepassword",
    "sslclientcertificatekeypassword": "tlscertificatekeyfilepassword",
    "ssl_crlfile": "tlscrlfile",
    "sslinsecure": "tlsinsecure",
    "j": "journal",
    "wtimeout": "wtimeoutms",
}
_TLS_FILES = ("tlscafile", "tlscertificatekeyfile", "tlscertificatekeyfilepassword", "tlscrlfile")
_TLS_CHECKS = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames", "tlsdisableocspendpointcheck")
_SECRET_WORDS = ("password", "passphrase", "passwd", "secret", "token")


def todays(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by the names of today in lower case, without those that are None."""
    given = {str(name).lower(): value for name, value in options.items() if value is not None}
    found = {_OLD_NAMES[name]: value for name, value in given.items() if name in _OLD_NAMES}
    if given.get("ssl_keyfile", given.get("ssl_certfile")) != given.get("ssl_certfile"):
        raise ConfigurationError(
            "ssl_keyfile: put the key and the certificate into one file and name it as tlsCertificateKeyFile."
        )
    if "ssl_cert_reqs" in given:
        found["tlsallowinvalidcertificates"] = given["ssl_cert_reqs"] in {0, "0", "CERT_NONE"}
    if "ssl_match_hostname" in given:
        found["tlsallowinvalidhostnames"] = not is_true("ssl_match_hostname", given["ssl_match_hostname"])
    preference = given.get("read_preference")
    found |= {
        name: value
        for name, attribute in (("readpreference", "mongos_mode"), ("maxstalenessseconds", "max_staleness"))
        if (value := getattr(preference, attribute, None)) is not None
    }
    # A lone empty set of tags stands for none.
    tags = list(getattr(preference, "tag_sets", None) or [])
    found |= {"readpreferencetags": tags} if any(tags) else {}
    return {**found, **{name: value for name, value in given.items() if name not in _OLD_NAMES}}


def written(options: Mapping[str, Any], *, is_srv: bool) -> list[tuple[str, str]]:
    """Return the names and encoded values for a connection string, of options by the names of today.

    What only Python knows is left out: it says how an application sees its data. So are a limit for each operation
    (timeoutMS, socketTimeoutMS), which a long dump would exceed; the sizes of pools, which are the application's;
    and compressors, which the tools take from their command line only and for which pymongo may lack the modules.
    """
    chosen = {"appname": "dbbackup", "connecttimeoutms": 0, "serverselectiontimeoutms": 0, **options}
    chosen = _tls({name: value for name, value in chosen.items() if value is not None}, is_srv=is_srv)
    if not is_srv:
        chosen = {name: value for name, value in chosen.items() if not name.startswith("srv")}
    pairs = []
    for name, (spelled, write) in WRITERS.items():
        values = chosen.get(name)
        if name != "readpreferencetags" or not isinstance(values, list | tuple):
            values = [values]
        texts = [write(spelled, value) for value in values if value is not None]
        pairs += [(spelled, text) for text in texts if text is not None]
    return pairs


def secret_values(options: Mapping[str, Any]) -> list[str]:
    """Return the secrets among options."""
    found = []
    for name, value in options.items():
        if str(name).lower() == "authmechanismproperties":
            found += secret_values(properties_of(value))
        elif any(word in str(name).lower() for word in _SECRET_WORDS) and isinstance(value, str | bytes):
            found.append(value.decode(errors="replace") if isinstance(value, bytes) else value)
    return found


def _tls(options: dict[str, Any], *, is_srv: bool) -> dict[str, Any]:
    """Say in so many words what pymongo concludes from some of the options, and Go's driver from others."""
    checks = {name: is_true(name, options[name]) for name in _TLS_CHECKS if name in options}
    rest = {name: value for name, value in options.items() if name not in checks}
    # Every file wants TLS, and so does who insists on a check.
    wanting = [name for name in _TLS_FILES if options.get(name)] + [name for name, off in checks.items() if not off]
    on = is_true("tls", options["tls"]) if "tls" in options else is_srv or bool(wanting)
    if wanting and not on:
        raise ConfigurationError("The connection's option tls is false, but others of TLS are set: leave these out.")
    if "tlscrlfile" in rest:
        raise ConfigurationError(
            "tlsCRLFile: mongodump and mongorestore cannot check revocation lists. Leave it out of the OPTIONS in "
            "DBBACKUP_CONNECTORS to do without that check there."
        )
    if not on:
        return rest
    rest["tls"] = True
    if checks.get("tlsinsecure") or checks.get("tlsallowinvalidcertificates"):
        # Go's driver knows no half measures; pymongo makes no difference either.
        return {**rest, "tlsinsecure": True}
    if checks.get("tlsallowinvalidhostnames"):
        raise ConfigurationError(
            "tlsAllowInvalidHostnames: mongodump and mongorestore check the certificate and its name, or nothing. "
            "Connect by a name that is in the certificate (HOST in DBBACKUP_CONNECTORS), or allow a connection "
            "without any check by tlsInsecure in the OPTIONS there."
        )
    return {**rest, "tlsdisableocspendpointcheck": checks.get("tlsdisableocspendpointcheck") or None}
