"""A stand-in for mongorestore, as far as archives go."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import BinaryIO, NoReturn

import bson
from bson.errors import InvalidBSON
from pymongo.errors import PyMongoError

from tests.mongo_tools import archive
from tests.mongo_tools.console import INFO, Console, FailureError, Signals, UsageError, plural, quoted
from tests.mongo_tools.login import Client, Login, described
from tests.mongo_tools.namespaces import Matcher, Renamer, escape
from tests.mongo_tools.oplog import OplogReplay
from tests.mongo_tools.options import RESTORE, Options, help_text, parse, version_text
from tests.mongo_tools.targets import BUCKETS, How, Target, write_concern

_DEPRECATED = (
    "The --db and --collection flags are deprecated for this use-case; please use --nsInclude instead, "
    "i.e. with --nsInclude=${DATABASE}.${COLLECTION}"
)
_OF_USERS = {"admin.system.users", "admin.system.roles", "admin.system.version"}


class Restore:
    """One run of the program."""

    def __init__(self, options: Options, console: Console, signals: Signals, login: Login, client: Client) -> None:
        self._options = options
        self._flags = options.flags
        self._console = console
        self._signals = signals
        self._client = client
        self._database = login.database
        self._archive = options.value("archive")
        self._where = "archive on stdin" if self._archive == "-" else f"archive {quoted(self._archive)}"
        self._known: dict[str, set[str]] = {}
        # By the namespace whose blocks have the documents; None for what is passed over.
        self._targets: dict[str, Target | None] = {}
        self._unseen: set[str] = set()
        self._open: set[str] = set()
        self._replay: OplogReplay | None = None
        self._failed: Target | None = None

    def summary(self) -> str:
        """Return the last line: of a collection that ended everything, it knows that one's documents alone."""
        counted = [self._failed] if self._failed else [target for target in self._targets.values() if target]
        inserted, failed = sum(target.inserted for target in counted), sum(target.failed for target in counted)
        return f"{inserted} document(s) restored successfully. {failed} document(s) failed to restore."

    def run(self) -> None:
        if self._database:
            self._console.say(_DEPRECATED)
        self._check_oplog_options()
        ordered = "maintainInsertionOrder" in self._flags
        self._how = How(
            ordered=ordered,
            stop=ordered or "stopOnError" in self._flags,
            unchecked="bypassDocumentValidation" in self._flags,
            documents=self._options.number("batchSize", 1000),
            write_concern=write_concern(self._options.value("writeConcern")),
        )
        included = self._options.many("nsInclude") + ([f"{escape(self._database)}.*"] if self._database else [])
        excluded = [f"*.{escape(name)}" for name in self._options.many("excludeCollection")]
        excluded += [f"*.{escape(prefix)}*" for prefix in self._options.many("excludeCollectionsWithPrefix")]
        self._included = _matcher("includes", included or ["*"])
        self._excluded = _matcher("excludes", self._options.many("nsExclude") + excluded)
        self._renamer = Renamer(self._options.many("nsFrom"), self._options.many("nsTo"))
        if not self._archive:
            raise FailureError("the stand-in reads archives alone")
        self._restore(archive.Reader(self._input()))

    def _check_oplog_options(self) -> None:
        if "oplogReplay" not in self._flags:
            return
        if self._options.many("nsInclude") or self._database:
            raise FailureError("cannot use --oplogReplay with includes specified")
        if self._options.many("nsExclude"):
            raise FailureError("cannot use --oplogReplay with excludes specified")
        if self._options.many("nsFrom"):
            raise FailureError("cannot use --oplogReplay with namespace renames specified")

    def _input(self) -> BinaryIO | gzip.GzipFile:
        try:
            raw = sys.stdin.buffer if self._archive == "-" else Path(self._archive).open("rb")  # noqa: SIM115
        except OSError as error:
            raise FailureError(f"stat {self._archive}: {(error.strerror or '').lower()}") from error
        if "gzip" not in self._flags:
            return raw
        stream = gzip.GzipFile(fileobj=raw)
        try:
            stream.peek(1)
        except gzip.BadGzipFile as error:
            raise FailureError("gzip: invalid header") from error
        except EOFError as error:
            raise FailureError("unexpected EOF") from error
        return stream

    def _restore(self, reader: archive.Reader) -> None:
        self._read_prelude(reader)
        self._check_plan()
        if "dryRun" in self._flags:
            self._console.say("dry run completed")
            return
        targets = list(filter(None, self._targets.values()))
        for target in targets:
            self._console.say(f"reading metadata for {quoted(target.name)} from {quoted(self._where)}")
            target.read_metadata()
            if "noOptionsRestore" in self._flags:
                target.options = {}
            self._check_time_series(target)
        damage = self._documents(reader)
        if self._replay:
            self._replay.run(self._client, self._console)
        if "noIndexRestore" not in self._flags:
            for target in targets:
                keep = "keepIndexVersion" in self._flags
                target.build_indexes(self._client, self._console, keep_version=keep)
        if damage:
            raise FailureError(damage)

    def _read_prelude(self, reader: archive.Reader) -> None:
        try:
            header, namespaces = reader.prelude()
        except archive.CorruptError as error:
            raise FailureError(str(error)) from error
        self._compare_versions(header["server_version"])
        if header["concurrent_collections"] > self._options.number("numParallelCollections", 4):
            self._console.say(
                "setting number of parallel collections to number of parallel collections in archive "
                f"({header['concurrent_collections']})"
            )
        self._console.say("preparing collections to restore from")
        for namespace in namespaces:
            self._plan(namespace, header["server_version"])

    def _compare_versions(self, dumped: str) -> None:
        here = str(self._client.server_info()["version"])
        if dumped.split(".")[:2] != here.split(".")[:2]:
            self._console.say(
                f"WARNING: This archive came from MongoDB {quoted(dumped)}, but you are restoring to {quoted(here)}. "
                "Cross-version dump & restore is unsupported. The restored data may be corrupted."
            )

    def _plan(self, namespace: archive.Namespace, version: str) -> None:
        name = namespace.name
        if not namespace.db and namespace.collection == "oplog":
            self._replay = OplogReplay() if "oplogReplay" in self._flags else None
            self._targets[name] = None
            (self._unseen if self._replay else self._open).add(name)
            return
        old = tuple(map(int, version.partition("-")[0].split(".")[:2])) < (8, 3)
        stored = f"{namespace.db}.{BUCKETS}{namespace.collection}" if namespace.type == "timeseries" and old else name
        wanted = self._included.matches(name) and not self._excluded.matches(name)
        special = namespace.collection.startswith("$") or namespace.collection == "system.profile"
        if not wanted or special or name in _OF_USERS:
            # It counts as begun: its end has to come.
            self._targets[stored] = None
            self._open.add(stored)
            return
        self._unseen.add(stored)
        db, _, collection = self._renamer.renamed(name).partition(".")
        self._console.say(f"found collection {quoted(name)} bson to restore to {quoted(f'{db}.{collection}')}", INFO)
        self._targets[stored] = Target(namespace, db, collection)

    def _check_plan(self) -> None:
        if "oplogReplay" in self._flags and not self._replay:
            raise FailureError("no oplog file to replay; make sure you run mongodump with --oplog")
        names = [target.name for target in self._targets.values() if target]
        if len(set(names)) < len(names):
            raise FailureError("cannot restore with conflicting namespace destinations")

    def _check_time_series(self, target: Target) -> None:
        if "timeseries" not in target.options or "drop" in self._flags:
            return
        if target.collection in self._collections(target.db):
            raise FailureError(
                f"restore error: timeseries collection {quoted(target.name)} already exists on the destination. "
                "You must remove this collection from the destination or use --drop"
            )

    def _documents(self, reader: archive.Reader) -> str:
        """Restore every namespace, and return what is wrong with the archive if no collection is the worse for it."""
        try:
            while (data := reader.block()) is not None:
                self._block(reader, data)
        except archive.CorruptError as error:
            damage = str(error)
        else:
            damage = self._unfinished()
        if self._open:
            self._console.say(f"demux finishing when there are still outs ({len(self._open)})")
        for name in sorted(self._open):
            target = self._targets[name]
            if target and not target.complete:
                self._finish(target, "reading bson input: error demultiplexing archive; archive io error")
        return damage

    def _unfinished(self) -> str:
        if self._open:
            names = ", ".join(map(quoted, sorted(self._open)))
            return f"error demultiplexing archive; archive finished but contained files were unfinished ({names})"
        if self._unseen:
            name = quoted(min(self._unseen))
            return f"error demultiplexing archive; archive finished before all collections were seen ({name})"
        return ""

    def _block(self, reader: archive.Reader, data: bytes) -> None:
        header = bson.decode(data)
        name = f"{header['db']}.{header['collection']}"
        if name not in self._open:
            self._begin(name)
        target = self._targets[name]
        if header["EOF"]:
            self._end(name, target, header["CRC"] % (1 << 64))
        while (document := reader.body()) is not None:
            if header["EOF"]:
                raise archive.CorruptError(
                    "corruption found in archive; ParserConsumer.BodyBSON() "
                    "( error demultiplexing archive; collection data without a collection header )"
                )
            if self._replay and name == ".oplog":
                self._replay.add(document)
            if target:
                self._add(target, document)

    def _begin(self, name: str) -> None:
        if name not in self._targets:
            raise _header_error(
                "error demultiplexing archive; failed arranging a consumer for new namespace "
                f"( no intent for namespace {quoted(name)} )"
            )
        if name not in self._unseen:
            raise _header_error("error demultiplexing archive; namespace header for already opened namespace")
        self._unseen.discard(name)
        self._open.add(name)
        if target := self._targets[name]:
            self._make(target)

    def _make(self, target: Target) -> None:
        """Drop the collection that is in the way, and make the new one."""
        name = quoted(target.name)
        try:
            existing = self._collections(target.db)
            if target.collection in existing:
                if "drop" not in self._flags:
                    self._console.say(f"restoring to existing collection {name} without dropping")
                elif target.collection.startswith("system."):
                    self._console.say(f"cannot drop system collection {name}, skipping")
                else:
                    self._console.say(f"dropping collection {name} before restoring")
                    self._client[target.db].drop_collection(target.collection)
                    existing.discard(target.collection)
            if target.collection not in existing:
                target.create(self._client, keep_version="keepIndexVersion" in self._flags)
                existing.add(target.collection)
        except (PyMongoError, FailureError) as error:
            self._say_finished(target)
            self._failed = target
            text = str(error) if isinstance(error, FailureError) else described(error, self._client)
            raise FailureError(f"{target.name}: {text}") from error
        self._console.say(f"restoring {quoted(f'{target.db}.{target.stored}')} from {quoted(self._where)}")

    def _collections(self, database: str) -> set[str]:
        if database not in self._known:
            try:
                self._known[database] = set(self._client[database].list_collection_names())
            except PyMongoError as error:
                raise FailureError(f"error reading database: {described(error)}") from error
        return self._known[database]

    def _add(self, target: Target, document: bytes) -> None:
        if self._signals.received:
            self._console.say(f"terminating read on {quoted(f'{target.db}.{target.stored}')}")
            self._finish(target, "received termination signal")
        target.crc = archive.checksum(document, target.crc)
        if "objcheck" in self._flags:
            try:
                bson.decode(document)
            except InvalidBSON as error:
                self._stop(target, str(error))
        try:
            target.add(document, self._client, self._how, self._console)
        except FailureError as error:
            self._stop(target, str(error))

    def _end(self, name: str, target: Target | None, crc: int) -> None:
        """Close a namespace; what is passed over is not checked."""
        if target:
            self._finish(target, "")
            target.complete = True
            if target.crc != crc:
                raise _header_error(f"CRC mismatch for namespace {quoted(name)}, {target.crc}!={crc}")
        self._open.discard(name)

    def _finish(self, target: Target, why: str) -> None:
        """Insert what is left, and end the program where there is a reason."""
        try:
            target.flush(self._client, self._how, self._console)
        except FailureError as error:
            self._stop(target, str(error))
        if why:
            self._stop(target, why)
        self._say_finished(target)

    def _stop(self, target: Target, why: str) -> NoReturn:
        self._say_finished(target)
        self._failed = target
        raise FailureError(f"{target.name}: error restoring from {self._where}: {why}")

    def _say_finished(self, target: Target) -> None:
        documents = plural(target.inserted, "document", "documents")
        failures = plural(target.failed, "failure", "failures")
        self._console.say(f"finished restoring {quoted(target.name)} ({documents}, {failures})")


def _matcher(what: str, patterns: list[str]) -> Matcher:
    try:
        return Matcher(patterns)
    except FailureError as error:
        raise FailureError(f"invalid {what}: {error}") from error


def _header_error(text: str) -> archive.CorruptError:
    return archive.CorruptError(f"corruption found in archive; ParserConsumer.HeaderBSON() ( {text} )")


def main(words: list[str]) -> int:
    """Run the program, and return its exit status."""
    console = Console()
    signals = Signals(console)
    # Until it has a connection, a signal ends it at once.
    Signals.default()
    try:
        options = parse(RESTORE, words)
        login = Login(RESTORE, options, console)
    except UsageError as error:
        console.say(f"error parsing command line options: {error}")
        console.say("try 'mongorestore --help' for more information")
        return 1
    if options.flags & {"help", "version"}:
        sys.stdout.write(help_text(RESTORE) if "help" in options.flags else version_text(RESTORE))
        return 0
    console.verbosity = -1 if "quiet" in options.flags else options.verbosity
    login.name_unknown_options()
    try:
        client = login.client()
    except FailureError as error:
        console.say(f"error connecting to host: {error}")
        return 1
    signals.listen()
    restore = Restore(options, console, signals, login, client)
    status = 0
    try:
        restore.run()
    except FailureError as error:
        console.say(f"Failed: {error}")
        status = 1
    console.say(restore.summary())
    return status
