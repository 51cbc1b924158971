"""What the manifests of a storage say, taken together."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from dataclasses import replace as _replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from django.db import connections

from dbbackup.catalog.manifest import MAX_SIZE, LegacyManifest, Manifest, read_manifest
from dbbackup.catalog.naming import MANIFEST_SUFFIX, NameReader
from dbbackup.catalog.storage import BackupStorage, backup_storage
from dbbackup.codecs import codec_classes, split_suffixes
from dbbackup.codecs.base import COMPRESSION, ENCRYPTION
from dbbackup.conf import Settings, get_settings
from dbbackup.exceptions import BackupNotFound, ManifestError, StorageError, VerificationError

# Two hosts, or one before and after a change of its clock, write local times at most this far apart into names.
_LOCAL_TIMES_DIFFER = timedelta(hours=27)


class Status(StrEnum):
    """How much is known of a stored backup before its bytes are read."""

    COMPLETE = "complete"
    UNVERIFIED = "unverified"
    BAD = "bad"


@dataclass(frozen=True)
class Backup:
    """One stored backup, as far as its name, its size and its manifest tell."""

    name: str
    status: Status
    size: int
    manifest: Manifest | None = None
    legacy: LegacyManifest | None = None
    problem: str = ""
    """Why it is bad, in words that follow its name."""
    codecs: tuple[str, ...] = ()
    made: datetime | None = None
    """When it was started, in UTC; the local time in its name where there is no manifest."""
    database: str = ""
    servername: str = ""

    @property
    def content_type(self) -> str:
        """Return what it is a backup of: "db" or "media"."""
        return self.manifest.content_type if self.manifest else "db"


@dataclass(frozen=True)
class Filter:
    """Which backups are meant; None means any."""

    database: str | None = None
    servername: str | None = None
    content_type: str | None = None
    compressed: bool | None = None
    encrypted: bool | None = None


@dataclass(frozen=True)
class Choice:
    """The newest backup that answers a filter, and the bad ones that were passed over."""

    backup: Backup
    passed_over: tuple[Backup, ...]


class Catalog:
    """The backups of one storage."""

    def __init__(self, storage: BackupStorage | None = None, *, check_signatures: bool = True) -> None:
        """Look into a storage, that of the project unless another one is given."""
        self.storage = storage or backup_storage()
        self.settings: Settings = get_settings()
        self._check_signatures = check_signatures
        self._names = NameReader(self.settings)

    def publish(self, manifest: Manifest, *, replace: bool = False) -> None:
        """Write the manifest of a stored backup, which makes it complete."""
        content = io.BytesIO(manifest.to_bytes(self.settings.signing_keys))
        self.storage.store_as(manifest.name + MANIFEST_SUFFIX, content, replace=replace)

    def get(self, name: str) -> Backup:
        """Return the backup of this name; raise BackupNotFound when there is neither data nor manifest."""
        with_manifest = self.storage.exists(name + MANIFEST_SUFFIX)
        if not with_manifest and not self.storage.exists(name):
            raise BackupNotFound(f"There is no backup {name!r} in the storage. `manage.py listbackups` names them all.")
        return self._read(name, with_manifest)

    def backups(self, wanted: Filter = Filter()) -> list[Backup]:
        """Return what answers the filter, newest first; what cannot be told apart (bad manifests) is among it."""
        found = [self._read(*entry) for entry in self._candidates(wanted)]
        return sorted((backup for backup in found if self._answers(backup, wanted)), key=_age, reverse=True)

    def latest(self, wanted: Filter) -> Choice:
        """Return the newest complete backup that answers the filter, reading as few manifests as that takes.

        One without a manifest is chosen only when no file with a manifest is there for the database.
        Raise BackupNotFound when nothing can be chosen, naming what had to be passed over.
        """
        best: Backup | None = None
        bad: list[Backup] = []
        unverified: list[Backup] = []
        newest_name: datetime | None = None
        for name, with_manifest in sorted(self._candidates(wanted), key=self._name_age, reverse=True):
            made = self._names.made(name)
            if newest_name and made and newest_name - made > _LOCAL_TIMES_DIFFER:
                break
            backup = self._read(name, with_manifest)
            if not self._answers(backup, wanted):
                continue
            if backup.status is Status.BAD:
                bad.append(backup)
            elif backup.status is Status.UNVERIFIED:
                unverified.append(backup)
            else:
                newest_name = newest_name or made
                best = max(best, backup, key=_age) if best else backup
        if best is not None:
            return Choice(best, tuple(backup for backup in bad if _may_be_newer(backup, best)))
        if unverified and not any(self._belongs(backup, wanted) for backup in bad):
            return Choice(max(unverified, key=_age), tuple(bad))
        raise BackupNotFound(_nothing_found(wanted, bad))

    def _candidates(self, wanted: Filter) -> Iterator[tuple[str, bool]]:
        """Yield what the names do not rule out: each name, and whether a manifest stands beside it."""
        names = set(self.storage.names())
        bases = {name.removesuffix(MANIFEST_SUFFIX) for name in names}
        for name in sorted(bases):
            with_manifest = name + MANIFEST_SUFFIX in names
            if (with_manifest or self._looks_like_backup(name)) and self._may_answer(name, wanted):
                yield name, with_manifest

    def _name_age(self, entry: tuple[str, bool]) -> tuple[bool, str, str]:
        # A name without a date may be of any time, so it is looked at before those that can be ordered.
        made = self._names.made(entry[0])
        return made is None, made.isoformat() if made else "", entry[0]

    def _looks_like_backup(self, name: str) -> bool:
        return self._names.parse(name) is not None or self._names.made(name) is not None

    def _may_answer(self, name: str, wanted: Filter) -> bool:
        parsed = self._names.parse(name)
        if parsed is None:
            return True
        if wanted.database is not None and self._is_of_another(name, wanted.database):
            return False
        return self._codecs_answer(parsed.codecs, wanted)

    def _is_of_another(self, name: str, database: str) -> bool:
        """Return whether the name is that of another database of the project: any other name proves nothing."""
        others = (alias for alias in connections if alias != database)
        return not self._names.may_be(name, database) and any(self._names.may_be(name, alias) for alias in others)

    def _answers(self, backup: Backup, wanted: Filter) -> bool:
        if backup.status is Status.BAD and backup.manifest is None:
            return self._codecs_answer(backup.codecs, wanted)
        said = backup.manifest
        if said is None:
            if wanted.database is not None and not self._names.may_be(backup.name, wanted.database):
                return False
        elif wanted.database is not None and said.database != wanted.database:
            return False
        return (
            (wanted.servername is None or backup.servername == wanted.servername)
            and (wanted.content_type is None or backup.content_type == wanted.content_type)
            and self._codecs_answer(backup.codecs, wanted)
        )

    def _belongs(self, backup: Backup, wanted: Filter) -> bool:
        """Return whether a bad backup must be taken for one of the database."""
        return (
            backup.manifest is not None or wanted.database is None or self._names.may_be(backup.name, wanted.database)
        )

    def _codecs_answer(self, codecs: Iterable[str], wanted: Filter) -> bool:
        classes = codec_classes(self.settings.codecs)
        kinds = {classes[name].kind for name in codecs if name in classes}
        return (wanted.compressed is None or wanted.compressed == (COMPRESSION in kinds)) and (
            wanted.encrypted is None or wanted.encrypted == (ENCRYPTION in kinds)
        )

    def _read(self, name: str, with_manifest: bool) -> Backup:
        _, codecs = split_suffixes(name, self.settings.codecs)
        parsed = self._names.parse(name)
        made = self._names.made(name)
        backup = Backup(
            name=name,
            status=Status.UNVERIFIED,
            size=0,
            codecs=tuple(codecs),
            made=made.astimezone(UTC) if made else None,
            database=parsed.database if parsed else "",
            servername=parsed.servername if parsed else "",
        )
        said: Manifest | LegacyManifest | None = None
        try:
            if with_manifest:
                said = self._manifest(name)
                if isinstance(said, LegacyManifest):
                    backup = _replace(backup, legacy=said)
                elif said.name != name:
                    raise ManifestError(f"its manifest belongs to {said.name!r}")
                else:
                    backup = _with_manifest(backup, said)
            objects = {stored.name: stored.size for stored in said.objects} if isinstance(said, Manifest) else {}
            sizes = [self._size(part, said_size) for part, said_size in objects.items()]
            backup = _replace(backup, size=sum(sizes) if sizes else self._size(name, None))
        except VerificationError as exc:
            return _replace(backup, status=Status.BAD, problem=str(exc))
        return _replace(backup, status=Status.COMPLETE) if isinstance(said, Manifest) else backup

    def _manifest(self, name: str) -> Manifest | LegacyManifest:
        path = name + MANIFEST_SUFFIX
        try:
            data = self.storage.read(path, MAX_SIZE)
        except StorageError as exc:
            raise ManifestError(f"its manifest cannot be read ({exc})") from exc
        try:
            return read_manifest(data, self.settings.signing_keys, check_signature=self._check_signatures)
        except ManifestError as exc:
            raise ManifestError(f"its manifest is refused: {exc}") from exc

    def _size(self, name: str, said: int | None) -> int:
        if not self.storage.exists(name):
            raise VerificationError("its data is missing, only the manifest is there")
        if self.storage.is_link(name):
            raise VerificationError("it is a symbolic link, not a file")
        size = self.storage.size(name)
        if said is not None and size != said:
            raise VerificationError(f"it has {size} bytes where its manifest says {said}")
        return size


def _with_manifest(backup: Backup, said: Manifest) -> Backup:
    return _replace(
        backup, manifest=said, codecs=said.codecs, made=said.started, database=said.database,
        servername=said.servername,
    )  # fmt: skip


def _age(backup: Backup) -> tuple[datetime, str]:
    return backup.made or datetime.min.replace(tzinfo=UTC), backup.name


def _may_be_newer(bad: Backup, best: Backup) -> bool:
    if bad.made is None or best.made is None or bad.manifest is not None:
        return bad.made is None or _age(bad) > _age(best)
    # All that is left is the local time in the name: whole seconds, and an hour that may have come twice.
    return bad.made > best.made - timedelta(hours=2)


def _nothing_found(wanted: Filter, bad: list[Backup]) -> str:
    what = f"database {wanted.database!r}" if wanted.database else "this"
    if wanted.servername:
        what += f" of server {wanted.servername!r}"
    text = f"There is no complete backup of {what} in the storage."
    if bad:
        first = max(bad, key=_age)
        text += f" Passed over {len(bad)} bad: {first.name}: {first.problem}."
    return text
