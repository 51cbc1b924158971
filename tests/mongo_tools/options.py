"""The command line of the stand-ins: the options of MongoDB's own tools, taken and refused as those do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.mongo_tools import yaml
from tests.mongo_tools.console import UsageError

# What the stand-ins say they are: what is tested with them should meet the form that releases have.
VERSION = "100.18.0"

_CONFIG = ("password", "uri", "sslPEMKeyPassword")


@dataclass(frozen=True)
class Spec:
    """The options of one program by how they take a value; those of ``absent`` belong to the real program alone."""

    name: str
    usage: str
    flags: str
    values: str
    numbers: str
    lists: str
    absent: str

    def kind(self, name: str) -> str:
        """Return which kind of option a long name is, or ""."""
        if name in {"archive", "verbose"}:
            return name
        for kind in ("flags", "values", "numbers", "lists", "absent"):
            if name in getattr(self, kind).split():
                return kind
        return ""


_FLAGS = """help version quiet gzip ssl sslFIPSMode tlsInsecure sslAllowInvalidCertificates sslAllowInvalidHostnames """
_VALUES = """config host port sslCAFile sslPEMKeyFile sslPEMKeyPassword username password authenticationDatabase
authenticationMechanism db uri """
_NUMBERS = "numParallelCollections serverSelectionTimeout dialTimeout "
_LISTS = "excludeCollection excludeCollectionsWithPrefix "
_ABSENT = "collection sslCRLFile awsSessionToken gssapiServiceName gssapiHostName socketTimeout compressors "
_SHORT = {"h": "host", "u": "username", "p": "password", "d": "db", "c": "collection", "j": "numParallelCollections"}

DUMP = Spec(
    "mongodump",
    "Export the content of a running server into .bson files.",
    _FLAGS + "oplog forceTableScan",
    _VALUES + "readPreference",
    _NUMBERS,
    _LISTS,
    _ABSENT + "query queryFile out dumpDbUsersAndRoles viewsAsCollections",
)
RESTORE = Spec(
    "mongorestore",
    "Restore backups generated with mongodump to a running server.",
    _FLAGS + "objcheck oplogReplay drop dryRun noIndexRestore noOptionsRestore keepIndexVersion stopOnError "
    "maintainInsertionOrder bypassDocumentValidation",
    _VALUES + "writeConcern",
    _NUMBERS + "numInsertionWorkersPerCollection batchSize",
    _LISTS + "nsInclude nsExclude nsFrom nsTo",
    _ABSENT + "oplogLimit oplogFile restoreDbUsersAndRoles dir convertLegacyIndexes preserveUUID fixDottedHashIndex",
)


@dataclass
class Options:
    """What the command line and the configuration file said."""

    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    positional: list[str] = field(default_factory=list)
    verbosity: int = 0

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    def number(self, name: str, default: int) -> int:
        return int(self.values.get(name, default))

    def many(self, name: str) -> list[str]:
        return self.lists.get(name, [])


def parse(spec: Spec, words: list[str]) -> Options:
    """Return the options, those of the command line before those of the file that --config names."""
    options = _Parser(spec, words).options
    if "config" in options.values:
        path = options.values["config"]
        try:
            text = Path(path).read_bytes()
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise UsageError(f"error opening file with --config: open {path}: {reason}") from error
        try:
            found = yaml.read(text, _CONFIG)
        except UsageError as error:
            raise UsageError(f"error parsing config file {path}: {error}") from error
        options.values = {**found, **options.values}
    for word in filter(None, options.positional):
        if not word.startswith(("mongodb://", "mongodb+srv://")):
            raise UsageError(
                "error parsing positional arguments: provide only one MongoDB connection string. "
                "Connection strings must begin with mongodb:// or mongodb+srv:// schemes"
            )
        if options.value("uri"):
            raise UsageError("illegal argument combination: cannot specify a URI in a positional argument and --uri")
        options.values["uri"] = word
    return options


class _Parser:
    def __init__(self, spec: Spec, words: list[str]) -> None:
        self.options = Options()
        self._spec = spec
        self._words = iter(words)
        for word in self._words:
            if word == "--":
                self.options.positional.extend(self._words)
            elif word.startswith("--"):
                name, equals, value = word[2:].partition("=")
                self._take(name, value if equals else None)
            elif word.startswith("-") and word != "-":
                self._take_short(word[1:])
            else:
                self.options.positional.append(word)

    def _take_short(self, word: str) -> None:
        if word[0] == "v":
            _, equals, level = word.partition("=")
            self.options.verbosity += int(level) if equals and level.isdecimal() else len(word)
        elif word[0] in _SHORT:
            self._take(_SHORT[word[0]], word[1:].removeprefix("=") if word[1:] else None)
        else:
            raise UsageError(f"unknown option `{word[0]}`")

    def _take(self, name: str, value: str | None) -> None:
        kind = self._spec.kind(name)
        if not kind:
            raise UsageError(f"unknown option `{name}`")
        if kind == "absent":
            raise UsageError(f"the stand-in for {self._spec.name} does not have --{name}")
        if kind == "flags":
            if value is not None:
                raise UsageError(f"bool flag `--{name}' cannot have an argument")
            self.options.flags.add(name)
        elif kind == "verbose":
            self.options.verbosity += int(value) if value else 1
        elif kind == "archive":
            # Its value is optional, so that it is never the next word.
            self.options.values[name] = "-" if value is None else value
        else:
            self._keep(kind, name, self._next(name) if value is None else value)

    def _keep(self, kind: str, name: str, value: str) -> None:
        if kind == "lists":
            self.options.lists.setdefault(name, []).append(value)
            return
        if kind == "numbers" and not value.removeprefix("-").isdecimal():
            raise UsageError(
                f"invalid argument for flag `{_flag(name)}' (expected int): "
                f'strconv.ParseInt: parsing "{value}": invalid syntax'
            )
        self.options.values[name] = value

    def _next(self, name: str) -> str:
        value = next(self._words, None)
        if value is None or value == "--":
            raise UsageError(f"expected argument for flag `{_flag(name)}'")
        if value.startswith("-") and value != "-":
            raise UsageError(f"expected argument for flag `{_flag(name)}', but got option `{value}'")
        return value


def _flag(name: str) -> str:
    short = next((f"-{short}, " for short, long in _SHORT.items() if long == name), "")
    return f"{short}--{name}"


def help_text(spec: Spec) -> str:
    """Return what --help prints: the names alone."""
    names = sorted(f"{spec.flags} {spec.values} {spec.numbers} {spec.lists} archive verbose".split())
    listed = "".join(f"      --{name}\n" for name in names)
    return f"Usage:\n  {spec.name} <options> <connection-string>\n\n{spec.usage}\n\noptions:\n{listed}"


def version_text(spec: Spec) -> str:
    """Return what --version prints."""
    return f"{spec.name} version: {VERSION}\ngit version: stand-in\n"
