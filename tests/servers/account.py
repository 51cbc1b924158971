"""Run a server as an account that it accepts: servers refuse to run as root, as which tests in containers run."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

# Nothing of the caller's own databases, and messages in English.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


class Account:
    """The account named ``preferred`` if the tests run as root, otherwise the one they run as."""

    def __init__(self, preferred: str) -> None:
        self.command: list[str] = []
        self._entry: pwd.struct_passwd | None = None
        if shutil.which("setpriv"):
            # A test run that is killed cannot end its servers; the kernel does it then.
            self.command = ["setpriv", "--pdeathsig", "QUIT"]
        if os.geteuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            self._entry = entry = pwd.getpwnam(preferred if preferred in names else "nobody")
            self.command += ["--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--clear-groups"]

    def give(self, *paths: Path) -> None:
        """Make files and folders the account's own."""
        if self._entry is not None:
            for path in paths:
                os.chown(path, self._entry.pw_uid, self._entry.pw_gid, follow_symlinks=False)

    def reachable(self, bin_dir: Path, scratch: Path) -> Path:
        """Return ``bin_dir``, or a copy if the account may not look into it, as below /root."""
        program = bin_dir / "postgres"
        if subprocess.run([*self.command, "test", "-x", program], cwd="/", check=False).returncode == 0:
            return bin_dir
        copy = scratch / "install"
        shutil.copytree(bin_dir.parent, copy, symlinks=True)
        self.give(copy, *copy.rglob("*"))
        return copy / bin_dir.name


def addresses() -> list[str]:
    """Return the addresses of the machine that only it can reach."""
    return ["127.0.0.1", "::1"] if _free("::1", 0) else ["127.0.0.1"]


def free_port() -> int:
    """Return a port that is free on each of the addresses."""
    while True:
        port = _free("127.0.0.1", 0)
        if port and all(_free(address, port) for address in addresses()):
            return port


def _free(address: str, port: int) -> int:
    """Return the port that can be had, 0 if none."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as listener:
            listener.bind((address, port))
            return int(listener.getsockname()[1])
    except OSError:
        return 0
