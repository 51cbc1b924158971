"""Run a server as an account that it accepts: servers refuse to run as root, as which tests in containers run."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

# Every program that may use TLS reads the machine's authorities when it starts, which takes most of its time. The tests
# have an authority of their own.
os.environ |= {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": "/nonexistent"}
# Nothing of the caller's own databases, and messages in English.
_OWN = ("PG", "MYSQL", "MARIADB")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)} | {"LC_ALL": "C"}


class Account:
    """The account named ``preferred`` if the tests run as root, otherwise the one they run as."""

    def __init__(self, preferred: str, death_signal: str = "QUIT") -> None:
        self.command: list[str] = []
        self._entry: pwd.struct_passwd | None = None
        if shutil.which("setpriv"):
            # A test run that is killed cannot end its servers; the kernel does it then.
            self.command = ["setpriv", "--pdeathsig", death_signal]
        if os.geteuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            self._entry = entry = pwd.getpwnam(preferred if preferred in names else "nobody")
            self.command += ["--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--clear-groups"]

    def give(self, *paths: Path) -> None:
        """Make files and folders the account's own."""
        if self._entry is not None:
            for path in paths:
                os.chown(path, self._entry.pw_uid, self._entry.pw_gid, follow_symlinks=False)

    def reachable(self, bin_dir: Path, scratch: Path, program: str | Path = "bin/postgres") -> Path:
        """Return ``bin_dir``, or a copy if the account may not look into it, as below /root.

        ``program`` is one that the account runs, as seen from the folder above ``bin_dir``.
        """
        installed = bin_dir.parent
        if subprocess.run([*self.command, "test", "-x", installed / program], cwd="/", check=False).returncode == 0:
            return bin_dir
        copy = scratch / "install"
        shutil.copytree(installed, copy, symlinks=True, copy_function=self._copy)
        self.give(copy, *(path for path in copy.rglob("*") if path.is_dir()))
        return copy / bin_dir.name

    def _copy(self, source: str, target: str) -> None:
        # A second name costs nothing, but a file has one owner, who stays the same.
        if Path(source).stat().st_mode & stat.S_IROTH:
            with suppress(OSError):
                os.link(source, target, follow_symlinks=False)
                return
        shutil.copy2(source, target, follow_symlinks=False)
        self.give(Path(target))


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
