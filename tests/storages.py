"""Storages that are not a local folder, and storages that fail."""

from __future__ import annotations

import io
from typing import Any, ClassVar

from django.core.files.base import File
from django.core.files.storage import Storage


class RemoteStorage(Storage):
    """Objects in memory behind a Django storage, as a bucket would hold them: no path, no seeking while writing."""

    left: ClassVar[dict[str, bytes]] = {}

    def __init__(self) -> None:
        type(self).left = {}

    def _save(self, name: str, content: File[bytes]) -> str:
        data = bytearray()
        while chunk := content.read(1000):
            data += chunk
        self.left[name] = bytes(data)
        return name

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        if name not in self.left:
            raise FileNotFoundError(name)
        return File(io.BytesIO(self.left[name]), name=name)

    def exists(self, name: str) -> bool:
        return name in self.left

    def delete(self, name: str) -> None:
        self.left.pop(name, None)

    def size(self, name: str) -> int:
        return len(self.left[name])

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        prefix = f"{path}/" if path else ""
        below = [name.removeprefix(prefix) for name in self.left if name.startswith(prefix)]
        folders = {name.split("/")[0] for name in below if "/" in name}
        return sorted(folders), sorted(name for name in below if "/" not in name)


class FailingStorage(RemoteStorage):
    """A connection that breaks when something has been sent."""

    left: ClassVar[dict[str, bytes]] = {}

    def _save(self, name: str, content: File[bytes]) -> str:
        self.left[name] = content.read(1000)
        raise ConnectionResetError("the line is dead")


class FailingAtManifest(RemoteStorage):
    """A connection that breaks once the data is there."""

    left: ClassVar[dict[str, bytes]] = {}

    def _save(self, name: str, content: Any) -> str:
        if name.endswith(".metadata"):
            raise RuntimeError("no more room for small things")
        return super()._save(name, content)


class LockedStorage(RemoteStorage):
    """A bucket whose objects may not be deleted."""

    left: ClassVar[dict[str, bytes]] = {}

    def delete(self, name: str) -> None:
        raise PermissionError(1, "the object is retained", name)


class RewindingStorage(RemoteStorage):
    """A client that goes back to the start of what it is given before it sends it."""

    left: ClassVar[dict[str, bytes]] = {}

    def _save(self, name: str, content: File[bytes]) -> str:
        content.seek(0)
        return super()._save(name, content)
