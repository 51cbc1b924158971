"""Patterns of namespaces: ``*`` is any text, a backslash takes that from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tests.mongo_tools.console import FailureError, quoted

_TOKEN = re.compile(r"\\\\|\\\*|\\|\*|[^\\*]+", re.DOTALL)


def _tokens(pattern: str) -> Iterable[tuple[str, bool]]:
    """Yield the literal texts and the wildcards of a pattern."""
    before = ""
    for token in _TOKEN.findall(pattern):
        # A star after a backslash is always a literal one, even if that backslash is escaped itself.
        wild = token == "*" and not before.endswith("\\")
        yield (token if token == "*" else re.sub(r"\\(.?)", r"\1", token, flags=re.DOTALL)), wild
        before = token


def escape(name: str) -> str:
    """Return the pattern that is this name alone."""
    return name.replace("\\", "\\\\").replace("*", r"\*")


def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile("".join("(.*?)" if wild else re.escape(text) for text, wild in _tokens(pattern)), re.DOTALL)


class Matcher:
    """Several patterns, one of which has to match a namespace as a whole."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = []
        for pattern in patterns:
            if "$" in pattern:
                raise FailureError(
                    f"'$' is not allowed in include/exclude patternsj processing include/exclude pattern: '{pattern}'"
                )
            self._patterns.append(_expression(pattern))

    def matches(self, namespace: str) -> bool:
        return any(pattern.fullmatch(namespace) for pattern in self._patterns)


class Renamer:
    """Pairs of patterns: the last that matches a namespace renames it."""

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        if len(old) != len(new):
            raise FailureError("--nsFrom and --nsTo arguments must be specified an equal number of times")
        self._pairs = []
        for source, target in zip(reversed(old), reversed(new), strict=True):
            if "$" in source + target:
                raise FailureError("invalid renames: the stand-in does not know $variables$")
            if _stars(source) != _stars(target):
                raise FailureError(
                    f"invalid renames: Different number of asterisks in from: {quoted(source)} and to: {quoted(target)}"
                )
            self._pairs.append((_expression(source), list(_tokens(target))))

    def renamed(self, namespace: str) -> str:
        for pattern, tokens in self._pairs:
            if match := pattern.fullmatch(namespace):
                texts = iter(match.groups())
                return "".join(next(texts) if wild else text for text, wild in tokens)
        return namespace


def _stars(pattern: str) -> int:
    return pattern.count("*") - pattern.count(r"\*")
