"""The engine django_mongodb_backend: the real one where it is installed, elsewhere one that never connects.

There is one for a few versions of Django alone, and nothing that a connector does needs it.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.dummy.base import DatabaseWrapper

ENGINE = "django_mongodb_backend"


def install() -> None:
    """Have Django find an engine of that name."""
    try:
        importlib.import_module(ENGINE)
    except (ImportError, ImproperlyConfigured):
        package, base = ModuleType(ENGINE), ModuleType(f"{ENGINE}.base")
        package.__path__ = []
        base.__dict__["DatabaseWrapper"] = DatabaseWrapper
        sys.modules.update({ENGINE: package, f"{ENGINE}.base": base})


def close(alias: str) -> None:
    """Close the clients of an alias, which its connections share and leave open."""
    pools: dict[str, Any] = getattr(type(connections[alias]), "_connection_pools", {})
    if alias in pools:
        pools.pop(alias).close()
