"""A keyring of gpg for tests, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PLAIN_KEY = "plain@example.com"
LOCKED_KEY = "locked@example.com"
PASSPHRASE = "grüne Tinte"


@contextmanager
def keyring() -> Iterator[Path]:
    """Give a GNUPGHOME with two keys: PLAIN_KEY, and LOCKED_KEY that needs PASSPHRASE."""
    # Directly in /tmp: the agent's socket stands in it, and the path of a socket is at most 107 bytes long.
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp") as name:
        home = Path(name)
        try:
            add_key(home, PLAIN_KEY, "")
            add_key(home, LOCKED_KEY, PASSPHRASE)
            forget_passphrases(home)
            yield home
        finally:
            forget_passphrases(home)


def add_key(home: Path, address: str, passphrase: str, made: str = "20240101T000000", expires: str = "never") -> None:
    """Add a pair of keys. These are made in a tenth of a second; RSA takes seconds."""
    options = ["--faked-system-time", made, "--pinentry-mode", "loopback", "--passphrase", passphrase]
    gpg(home, *options, "--quick-generate-key", f"Tester <{address}>", "future-default", "default", expires)


def forget_passphrases(home: Path) -> None:
    """End the agent, which remembers passphrases; gpg starts it again when needed."""
    subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, "GNUPGHOME": str(home)}, check=True)


def gpg(home: Path, *args: str, data: bytes = b"") -> bytes:
    """Return what gpg prints."""
    command = ["gpg", "--homedir", str(home), "--batch", "--yes", "--quiet", *args]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout
