"""A stand-in for mongodump, as far as archives of whole databases and servers go."""

from __future__ import annotations

import gzip
import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pymongo.errors import ConnectionFailure, PyMongoError, ServerSelectionTimeoutError

from tests.mongo_tools import archive, sources
from tests.mongo_tools.console import DEBUG, INFO, Console, FailureError, Signals, UsageError, plural, quoted
from tests.mongo_tools.login import Client, Login, described
from tests.mongo_tools.oplog import OplogDump
from tests.mongo_tools.options import DUMP, VERSION, Options, help_text, parse, version_text
from tests.mongo_tools.sources import Source

_CONFIG = ("chunks", "collections", "databases", "settings", "shards", "tags", "version")


class Dump:
    """One run of the program."""

    def __init__(self, options: Options, console: Console, signals: Signals, login: Login) -> None:
        self._options = options
        self._console = console
        self._signals = signals
        self._login = login
        self._archive = options.value("archive")
        self._parallel = options.number("numParallelCollections", 4)
        self._where = "archive on stdout" if self._archive == "-" else f"archive {quoted(self._archive)}"
        self._database = login.database

    def run(self) -> None:
        client = self._connected()
        self._validate()
        raw = self._output()
        stream = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) if "gzip" in self._options.flags else raw
        self._dump(client, archive.Writer(stream))
        try:
            stream.close()
            raw.close()
        except OSError as error:
            raise FailureError(f"archive writer: {self._unwritten(error)}") from error

    def _connected(self) -> Client:
        try:
            return self._login.client()
        except FailureError as error:
            if "--readPreference" in str(error):
                raise
            raise FailureError(f"can't create session: {error}") from error

    def _validate(self) -> None:
        excludes = [name for name in ("excludeCollection", "excludeCollectionsWithPrefix") if self._options.many(name)]
        if "oplog" in self._options.flags and self._database:
            raise FailureError("bad option: --oplog mode only supported on full dumps")
        if excludes and not self._database:
            raise FailureError(f"bad option: --db is required when --{excludes[0]} is specified")
        if self._parallel <= 0:
            raise FailureError("bad option: numParallelCollections must be positive")
        if not self._archive:
            raise FailureError("the stand-in writes archives alone")

    def _output(self) -> BinaryIO:
        if self._archive == "-":
            return os.fdopen(os.dup(1), "wb")
        try:
            return Path(self._archive).open("wb")
        except OSError as error:
            raise FailureError(f"open {self._archive}: {(error.strerror or '').lower()}") from error

    def _dump(self, client: Client, writer: archive.Writer) -> None:
        version = str(client.server_info()["version"])
        oplog = OplogDump(client) if "oplog" in self._options.flags else None
        found = list(self._sources(client, version))
        for source in found:
            source.namespace.metadata = sources.metadata(client, source)
            self._console.say(f"archive prelude {source.name}", INFO)
        prelude = [sources.listed(source) for source in found] + ([oplog.namespace] if oplog else [])
        try:
            writer.prelude(prelude, parallel=self._parallel, server=version, tool=VERSION)
        except OSError as error:
            raise FailureError(f"error writing metadata into archive: {self._unwritten(error)}") from error
        self._console.say(f"dumping up to {min(self._parallel, len(found))} collections in parallel", INFO)
        self._collections(client, writer, found)
        if oplog:
            self._console.say("writing captured oplog to ``")
            count = oplog.write(writer)
            self._console.say(f"\tdumped {plural(count, 'oplog entry', 'oplog entries')}")

    def _sources(self, client: Client, version: str) -> Iterator[Source]:
        raw = tuple(map(int, version.partition("-")[0].split(".")[:2])) >= (8, 3)
        try:
            names = [self._database] if self._database else client.list_database_names()
            for database in names:
                if not self._database and (database == "local" or database.startswith("__mdb_internal")):
                    continue
                try:
                    found = sorted(client[database].list_collections(), key=lambda entry: str(entry["name"]))
                except PyMongoError as error:
                    raise FailureError(
                        f"error creating intents to dump: error getting collections for database {quoted(database)}: "
                        f"{described(error)}"
                    ) from error
                for entry in found:
                    if not self._skipped(database, entry["name"]):
                        yield sources.source(database, entry, raw=raw)
        except PyMongoError as error:
            raise FailureError(f"error creating intents to dump: {described(error)}") from error

    def _skipped(self, database: str, name: str) -> bool:
        if database == "config" and database != self._database:
            return name not in _CONFIG
        if database == "admin" and name == "system.keys":
            return True
        if database not in {"admin", "config"} and name.startswith("system.") and name != "system.js":
            return True
        excluded = name in self._options.many("excludeCollection")
        prefixes = tuple(self._options.many("excludeCollectionsWithPrefix"))
        return "$" in name or excluded or (bool(prefixes) and name.startswith(prefixes))

    def _collections(self, client: Client, writer: archive.Writer, found: list[Source]) -> None:
        """Write the documents of several collections by turns, a batch of one after a batch of the next."""
        waiting = deque(found)
        running: deque[tuple[Source, Iterator[bytes]]] = deque()
        while waiting or running:
            while waiting and len(running) < self._parallel:
                source = waiting.popleft()
                self._console.say(f"writing {source.name} to {quoted(self._where)}")
                running.append((source, self._batches(client, source)))
            source, batches = running.popleft()
            batch = next(batches, None)
            with self._writing(source):
                if batch is None:
                    writer.end(source.namespace, source.crc)
                else:
                    writer.documents(source.namespace, batch)
            if batch is None:
                self._console.say(f"done dumping {source.name} ({plural(source.count, 'document', 'documents')})")
                continue
            source.crc = archive.checksum(batch, source.crc)
            source.count += sources.count(batch)
            running.append((source, batches))

    def _batches(self, client: Client, source: Source) -> Iterator[bytes]:
        # An empty collection has a block too.
        yield b""
        if source.namespace.type == "view":
            return
        collection = client[source.namespace.db][source.collection]
        failed = f"error writing data for collection {source.name} to disk"
        try:
            for batch in sources.batches(collection, {}, hint=[("$natural", 1)]):
                if self._signals.received:
                    raise FailureError(f"{failed}: received termination signal")
                yield batch
        except ConnectionFailure as error:
            if not isinstance(error, ServerSelectionTimeoutError):
                _wait_for(client)
            raise FailureError(f"{failed}: error reading collection: {error}") from error
        except PyMongoError as error:
            raise FailureError(f"{failed}: error reading collection: {described(error)}") from error

    @contextmanager
    def _writing(self, source: Source) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FailureError(
                f"archive writer: error writing data for collection {source.name} to disk: error writing to file: "
                f"short write / {self._unwritten(error)}"
            ) from error

    def _unwritten(self, error: OSError) -> str:
        where = "/dev/stdout" if self._archive == "-" else self._archive
        return f"write {where}: {(error.strerror or '').lower()}"


def _wait_for(client: Client) -> None:
    """Give a server that is gone as long to come back as the real program does."""
    try:
        client.admin.command("ping")
    except PyMongoError:
        return


def main(words: list[str]) -> int:
    """Run the program, and return its exit status."""
    console = Console()
    signals = Signals(console)
    Signals.default()
    try:
        options = parse(DUMP, words)
        login = Login(DUMP, options, console)
    except UsageError as error:
        console.say(f"error parsing command line options: {error}")
        console.say("try 'mongodump --help' for more information")
        return 1
    if options.flags & {"help", "version"}:
        sys.stdout.write(help_text(DUMP) if "help" in options.flags else version_text(DUMP))
        return 0
    console.verbosity = -1 if "quiet" in options.flags else options.verbosity
    login.name_unknown_options()
    signals.listen()
    console.say("will listen for SIGTERM and SIGINT", DEBUG)
    try:
        Dump(options, console, signals, login).run()
    except FailureError as error:
        console.say(f"Failed: {error}")
        return 1
    return 0
