"""Measurements as JSON and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.measure import Measurement

MIB = 1 << 20


@dataclass
class Result:
    """All runs of one contender."""

    contender: Contender
    backups: list[Measurement] = field(default_factory=list)
    restores: list[Measurement] = field(default_factory=list)
    stored: int = 0

    @property
    def problem(self) -> str:
        """Return why the contender's figures do not count, or nothing."""
        return next((run.problem for run in (*self.backups, *self.restores) if run.problem), "")

    def as_dict(self) -> dict[str, Any]:
        """Return the content of the JSON."""
        return {
            "name": self.contender.name,
            "stored": self.stored,
            "problem": self.problem,
            "backups": [asdict(run) for run in self.backups],
            "restores": [asdict(run) for run in self.restores],
        }


def table(results: Sequence[Result]) -> str:
    """Return a Markdown table of medians, each time with its ratio to the chain built by hand, and of peaks.

    A ratio is given only when every run of both succeeded and brought the same database back.
    """
    lines = [
        "| what | backup | × hand | cpu | memory | temp disk | restore | × hand | cpu | memory | temp disk | stored |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    by_hand = {
        (result.contender.shape, result.contender.codec): result
        for result in results
        if result.contender.who == "by hand" and not result.problem
    }
    for result in results:
        hand = by_hand.get((result.contender.shape, result.contender.codec))
        cells = [result.contender.name]
        if result.problem:
            cells.append(f"failed: {result.problem}".replace("|", "\\|"))
        else:
            cells += _cells(result.backups, hand.backups if hand else [])
            cells += _cells(result.restores, hand.restores if hand else [])
            cells.append(f"{result.stored / MIB:.1f} MiB")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(runs: Sequence[Measurement], hand: Sequence[Measurement]) -> list[str]:
    seconds = _seconds(runs)
    return [
        f"{seconds:.2f} s",
        f"{seconds / _seconds(hand):.2f}" if hand else "",
        f"{median(run.cpu for run in runs if run.peak_memory is None):.2f} s",
        f"{max(run.peak_memory or 0 for run in runs) / MIB:.0f} MiB",
        f"{max(run.peak_disk or 0 for run in runs) / MIB:.0f} MiB",
    ]


def _seconds(runs: Sequence[Measurement]) -> float:
    return median(run.seconds for run in runs if run.peak_memory is None)
