"""The options of a connector: declared once as class attributes, refused by name when they are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import FunctionType
from typing import Any

from django.utils.functional import cached_property

from dbbackup.exceptions import ConfigurationError

CONNECTION_SETTINGS = frozenset(
    {
        "ENGINE",
        "NAME",
        "USER",
        "PASSWORD",
        "HOST",
        "PORT",
        "OPTIONS",
        "CONN_MAX_AGE",
        "CONN_HEALTH_CHECKS",
        "ATOMIC_REQUESTS",
        "AUTOCOMMIT",
        "TIME_ZONE",
        "TEST",
        "DISABLE_SERVER_SIDE_CURSORS",
        "CONNECTOR",
    }
)
"""The keys that DBBACKUP_CONNECTORS may override for every connector: Django's own and the class path."""
_NOT_OPTIONS = frozenset({"accepts_stream", "reads_twice", "compresses_later", "dump_limits"})
_NOT_DATA = (FunctionType, property, cached_property, classmethod, staticmethod, type)


class Options:
    """A class whose public data attributes are options."""

    @classmethod
    def options(cls) -> frozenset[str]:
        """Return the names of the options that this class and its bases declare."""
        return frozenset(name for name in dir(cls) if cls._is_option(name))

    @classmethod
    def _is_option(cls, name: str) -> bool:
        declared = next(vars(base)[name] for base in cls.__mro__ if name in vars(base))
        return not (name.startswith("_") or name in _NOT_OPTIONS or isinstance(declared, _NOT_DATA))

    @classmethod
    def refuse_unknown_options(cls, keys: Iterable[str], where: str) -> None:
        """Raise ConfigurationError if a key is neither an option nor one of Django's own.

        ``where`` says in what setting the keys stand.
        """
        known = sorted({name.upper() for name in cls.options()} | CONNECTION_SETTINGS)
        unknown = [key for key in keys if key not in known]
        if not unknown:
            return
        near = [match for key in unknown for match in get_close_matches(key.upper(), known, n=1)]
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        named = ", ".join(unknown).lower()
        raise ConfigurationError(f"{cls.__name__} does not have options: {named} (in {where}).{hint}")

    def set_option(self, name: str, value: Any, flag: str) -> None:
        """Set an option that a command-line flag asks for; ConfigurationError if it is not declared."""
        if name not in self.options():
            raise ConfigurationError(f"{type(self).__name__} does not support {flag}.")
        setattr(self, name, value)

    def take_options(self, settings: Mapping[str, Any]) -> None:
        """Set the options that have a setting of their name in capitals."""
        known = self.options()
        for key, value in settings.items():
            if key.isupper() and key.lower() in known:
                setattr(self, key.lower(), value)
