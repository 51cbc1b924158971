"""What a person sees: results on standard output, progress on a terminal, notes on standard error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dbbackup.progress import Progress, ProgressCallback

if TYPE_CHECKING:
    from django.core.management.base import OutputWrapper
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class Terminal:
    """One face of the operations; where standard error is no terminal it is silent but for results and warnings."""

    def __init__(
        self,
        stdout: OutputWrapper,
        stderr: OutputWrapper,
        *,
        quiet: bool,
        as_json: bool,
        verbosity: int,
    ) -> None:
        """Write results to ``stdout``, everything else to ``stderr``."""
        self._stdout, self._stderr = stdout, stderr
        self.quiet = quiet or verbosity == 0
        self.as_json = as_json
        self.verbosity = verbosity
        self._bars: Bars | None = None
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the progress off the screen."""
        if self._bars is not None:
            self._bars.stop()
            self._bars, self._tasks = None, {}

    def result(self, text: str, **content: Any) -> None:
        """Print a result: the text, or under --json the content as one line."""
        self.stop()
        if self.as_json:
            self._stdout.write(json.dumps(content, ensure_ascii=False, default=str))
        elif not self.quiet:
            self._stdout.write(text)

    def note(self, text: str) -> None:
        """Print what is worth knowing but no result."""
        if not self.quiet and not self.as_json:
            self.stop()
            self._stderr.write(text)

    def tools(self, versions: Mapping[str, str]) -> None:
        """Print the programs that do the work, for those who ask for more (-v 2)."""
        if versions and self.verbosity > 1:
            self.note("\n".join(f"{tool} {found}" for tool, found in versions.items()))

    def warning(self, text: str) -> None:
        """Print what somebody should look at, unless all but errors is unwanted."""
        if not self.quiet:
            self.stop()
            self._stderr.write(f"Warning: {text}")

    @property
    def progress(self) -> ProgressCallback | None:
        """Return the callback for operations, None where nobody looks at a terminal."""
        if self.quiet or self.as_json or not self._stderr.isatty():
            return None
        return self._show

    def _show(self, step: Progress) -> None:
        if self._bars is None:
            self._bars = _bars()
            self._bars.start()
        key = (step.operation, step.subject)
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(f"{step.operation} {step.subject}", total=step.total)
        self._bars.update(self._tasks[key], completed=step.done)


def _bars() -> Bars:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def size(count: int) -> str:
    """Return a number of bytes in the unit that reads best."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
