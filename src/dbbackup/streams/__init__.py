"""Bytes in motion: readers that are pulled, whose failure replaces the end of the file."""

from __future__ import annotations

from dbbackup.streams.base import CHUNK_SIZE, StreamReader, cancel, chunks, copy, pull
from dbbackup.streams.deadline import deadline
from dbbackup.streams.folders import sync_folder
from dbbackup.streams.process import ProgramReader, run_program
from dbbackup.streams.push import PushReader
from dbbackup.streams.readers import (
    CheckedReader,
    CountingReader,
    HashingReader,
    IteratorReader,
    PeekableReader,
)
from dbbackup.streams.temporary import Workspace, remove_stale, spool, workspace

__all__ = [
    "CHUNK_SIZE",
    "CheckedReader",
    "CountingReader",
    "HashingReader",
    "IteratorReader",
    "PeekableReader",
    "ProgramReader",
    "PushReader",
    "StreamReader",
    "Workspace",
    "cancel",
    "chunks",
    "copy",
    "deadline",
    "pull",
    "remove_stale",
    "run_program",
    "spool",
    "sync_folder",
    "workspace",
]
