"""How far a database is migrated, and how that compares with another time."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from django.db import connections
from django.db.migrations.loader import MigrationLoader

logger = logging.getLogger("dbbackup")

Leaves = Mapping[str, Sequence[str]]


def applied_leaves(alias: str) -> dict[str, list[str]]:
    """Return the last applied migrations of each app, {} for a database without Django's table of them."""
    try:
        loader = MigrationLoader(connections[alias])
    except Exception:
        # What an engine raises here is its own affair; not to know the migrations must not cost the backup.
        logger.debug("The migrations of %r cannot be read", alias, exc_info=True)
        return {}
    applied = set(loader.applied_migrations)
    leaves: dict[str, list[str]] = {}
    for app, name in sorted(applied & set(loader.graph.nodes)):
        children = loader.graph.node_map[(app, name)].children
        if not any(child.key[0] == app and child.key in applied for child in children):
            leaves.setdefault(app, []).append(name)
    return leaves


def compare(backup: Leaves) -> str:
    """Return how the migrations in a backup stand to those of the code: "", or words for the operator."""
    if not backup:
        return ""
    graph = MigrationLoader(None).graph
    code = {app: sorted(name for _, name in graph.leaf_nodes(app)) for app in {app for app, _ in graph.nodes}}
    ahead = sorted(f"{app}.{name}" for app, names in backup.items() for name in names if (app, name) not in graph.nodes)
    behind = sorted(app for app, names in code.items() if names != sorted(backup.get(app, ())) and names)
    behind = [app for app in behind if not any(name.startswith(f"{app}.") for name in ahead)]
    if ahead and behind:
        return f"diverged from this code: it has {', '.join(ahead)}, and lacks migrations of {', '.join(behind)}"
    if ahead:
        return f"ahead of this code, which does not know {', '.join(ahead)}"
    if behind:
        return f"behind this code: run `migrate` afterwards ({', '.join(behind)})"
    return "equal to this code's"
