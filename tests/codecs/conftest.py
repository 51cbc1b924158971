from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gpg import forget_passphrases, keyring


@pytest.fixture(scope="session")
def _keyring() -> Iterator[Path]:
    with keyring() as home:
        yield home


@pytest.fixture
def gpg_home(_keyring: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of a keyring that gpg uses for the length of a test."""
    monkeypatch.setenv("GNUPGHOME", str(_keyring))
    yield _keyring
    forget_passphrases(_keyring)
