"""What all commands share: common flags, errors as one line with an exit status, and the failure mail."""

from __future__ import annotations

import getpass
import signal
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dbbackup.exceptions import DBBackupError, OperationFailed, UsageError
from dbbackup.mail import report_failure
from dbbackup.management.terminal import Terminal

FAILED, USAGE, PARTLY_FAILED, INTERRUPTED = 1, 2, 3, 130


class DBBackupCommand(BaseCommand):
    """A command that parses, calls one operation and prints its result."""

    # A restore must not be held up by another app's checks.
    requires_system_checks = ()
    # Both ways that scripts write it: call_command(…, noinput=True) and call_command(…, interactive=False).
    stealth_options = ("interactive",)
    name = ""
    mails_failures = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the flags that every command has."""
        parser.add_argument(
            "--noinput", "--no-input", action="store_true", dest="noinput", help="Never ask; do what was asked for."
        )
        parser.add_argument("-q", "--quiet", action="store_true", help="Print errors only.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object per line instead of text.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the operation; turn its errors into CommandError with the exit status, and mail them."""
        self.terminal = Terminal(
            self.stdout,
            self.stderr,
            quiet=options["quiet"],
            as_json=options["json"],
            verbosity=options["verbosity"],
        )
        try:
            with _terminated_as_interrupted(), self.terminal:
                self.run(options)
        except KeyboardInterrupt:
            raise CommandError("Interrupted; nothing unfinished was kept.", returncode=INTERRUPTED) from None
        except CommandError as exc:
            self._mail([str(exc)])
            raise
        except UsageError as exc:
            raise CommandError(str(exc), returncode=USAGE) from exc
        except OperationFailed as exc:
            errors = [f"{alias}: {describe(error)}" for alias, error in exc.failures.items()]
            self._mail(errors)
            raise CommandError("\n".join(errors), returncode=PARTLY_FAILED if exc.results else FAILED) from exc
        except (DBBackupError, OSError) as exc:
            self._mail([describe(exc)])
            raise CommandError(describe(exc), returncode=FAILED) from exc

    def run(self, options: Mapping[str, Any]) -> None:
        """Do the work of the command."""
        raise NotImplementedError("subclasses of DBBackupCommand must provide a run() method.")

    def prompt(self, options: Mapping[str, Any]) -> Callable[[], str | None] | None:
        """Return what asks for a passphrase, once however often it is called; None where nobody can answer."""
        if not may_ask(options) or not sys.stdin.isatty():
            return None
        return cache(lambda: getpass.getpass("Passphrase: "))

    def _mail(self, errors: list[str]) -> None:
        if self.mails_failures:
            report_failure(self.name, errors)


def describe(error: BaseException) -> str:
    """Return the words for an error; one that nobody foresaw is named by its class."""
    if isinstance(error, DBBackupError | CommandError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"


def may_ask(options: Mapping[str, Any]) -> bool:
    """Return whether the command may put a question to a person."""
    return bool(options.get("interactive", True)) and not options["noinput"]


def comma_separated(value: str | Iterable[str] | None) -> list[str]:
    """Return the names in a text like "a,b"; a list, as scripts give it to call_command(), stays as it is."""
    if value is not None and not isinstance(value, str):
        return list(value)
    return [name.strip() for name in (value or "").split(",") if name.strip()]


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM, and a terminal that goes away, end the run as Ctrl-C does, so that it leaves nothing behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_signum: int, _frame: object) -> None:
        raise KeyboardInterrupt

    # Under nohup a terminal may go.
    hangup = [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL else []
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, *hangup)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
