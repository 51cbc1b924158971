"""What import-linter cannot see, because it takes the whole of Django for one module."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "dbbackup"
FILES = sorted(path for row in ("db", "codecs", "streams") for path in (PACKAGE / row).rglob("*.py"))
FORBIDDEN = ("django.conf", "django.core.files")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_connectors_and_codecs_know_no_settings_and_no_storages(path):
    assert not {name for name in imported(path) if f"{name}.".startswith(tuple(f"{f}." for f in FORBIDDEN))}
