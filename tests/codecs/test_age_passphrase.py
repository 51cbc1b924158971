from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from dbbackup.codecs import KeyUnavailable
from dbbackup.codecs.age import AgeCodec
from dbbackup.codecs.age_passphrase import decrypt, encrypt
from dbbackup.exceptions import CodecError
from dbbackup.streams import IteratorReader, PeekableReader
from tests.codecs.damage import every_cut_raises, every_flip_raises_or_changes_nothing, everything_added_raises
from tests.requirements import requires

pytestmark = requires("python:pyrage", "python:cryptography")

WORD = "grüne Tinte"
CHUNK = 64 * 1024
SIZES = [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK]


def sealed(plain: bytes, passphrase: str = WORD, log_n: int = 4) -> bytes:
    """Return a message whose work factor is that of a test."""
    return b"".join(encrypt(PeekableReader(io.BytesIO(plain)), passphrase, log_n))


def opened(message: bytes, passphrase: str = WORD) -> bytes:
    return b"".join(decrypt(PeekableReader(io.BytesIO(message)), passphrase))


@pytest.mark.parametrize("size", SIZES)
def test_comes_back(size: int) -> None:
    plain = os.urandom(size)
    assert opened(sealed(plain)) == plain


@pytest.mark.parametrize("size", SIZES)
def test_pyrage_agrees(size: int) -> None:
    passphrase = import_module("pyrage").passphrase
    plain = os.urandom(size)
    assert passphrase.decrypt(sealed(plain), WORD) == plain
    if size == SIZES[-1]:
        # pyrage takes a second's work for each.
        assert opened(passphrase.encrypt(plain, WORD)) == plain


@requires("age")
def test_the_age_program_agrees(tmp_path: Path) -> None:
    plain = os.urandom(CHUNK + 1)
    (tmp_path / "ours.age").write_bytes(sealed(plain))
    on_terminal(["age", "--decrypt", "-o", str(tmp_path / "ours"), str(tmp_path / "ours.age")], prompts=1)
    assert (tmp_path / "ours").read_bytes() == plain
    on_terminal(["age", "--passphrase", "-o", str(tmp_path / "theirs.age"), str(tmp_path / "ours")], prompts=2)
    assert opened((tmp_path / "theirs.age").read_bytes()) == plain


def on_terminal(command: list[str], prompts: int) -> None:
    """Run a command that reads the passphrase from a terminal of its own."""
    script = (
        "import os, sys; os.setsid(); os.close(os.open(os.ttyname(0), os.O_RDWR)); os.execvp(sys.argv[1], sys.argv[1:])"
    )
    controller, terminal = pty.openpty()
    with os.fdopen(controller, "r+b", buffering=0) as keyboard, os.fdopen(terminal, "r+b", buffering=0) as screen:
        process = subprocess.Popen([sys.executable, "-c", script, *command], stdin=screen, stdout=screen, stderr=screen)
        for _ in range(prompts):
            shown = b""
            while not shown.rstrip().endswith(b":"):
                shown += keyboard.read(1000)
            keyboard.write(f"{WORD}\n".encode())
        assert process.wait() == 0


def test_the_pieces_of_the_source_do_not_matter() -> None:
    message = sealed(bytes(2 * CHUNK))
    pieces = IteratorReader(message[i : i + 1000] for i in range(0, len(message), 1000))
    with PeekableReader(pieces) as source:
        assert b"".join(decrypt(source, WORD)) == bytes(2 * CHUNK)


def test_damage_raises() -> None:
    codec = AgeCodec(passphrase=WORD)
    message = sealed(b"small")
    every_cut_raises(codec, message)
    every_flip_raises_or_changes_nothing(codec, message, b"small", 500)
    everything_added_raises(codec, message)


def test_chunks_neither_vanish_nor_change_places() -> None:
    message = sealed(os.urandom(3 * CHUNK))
    size = CHUNK + 16
    head, one, two, three = (
        message[: -3 * size],
        message[-3 * size : -2 * size],
        message[-2 * size : -size],
        message[-size:],
    )
    assert opened(head + one + two + three)
    for chunks in (
        [one, two],
        [one, three],
        [two, one, three],
        [one, two, three, three],
        [one, two, three, b"\0" * 16],
        [],
    ):
        with pytest.raises(CodecError, match="damaged"):
            opened(head + b"".join(chunks))


def test_an_empty_last_chunk_is_refused() -> None:
    # Such a message is authentic, made by somebody with the passphrase, but the format knows no second way of writing.
    from dbbackup.codecs import age_passphrase

    class Trailing(PeekableReader):
        """Says once too often that more is to come."""

        said = 0

        def peek(self, size: int) -> bytes:
            found = super().peek(size)
            if not found:
                self.said += 1
            return found or (b"more" if self.said == 1 else b"")

    message = b"".join(age_passphrase.encrypt(Trailing(io.BytesIO(bytes(CHUNK))), WORD, 4))
    with pytest.raises(CodecError, match="empty chunk"):
        opened(message)


def test_the_wrong_passphrase_says_so() -> None:
    with pytest.raises(KeyUnavailable, match="passphrase is not that of the age message"):
        opened(sealed(b"x"), "another")


def test_an_immense_work_factor_is_refused_before_the_work() -> None:
    message = sealed(b"x")
    for log_n in (b"23", b"99"):
        with pytest.raises(CodecError, match="malformed"):
            opened(message.replace(b" 4\n", b" " + log_n + b"\n", 1))


def test_too_little_memory_for_the_work_is_not_a_wrong_passphrase() -> None:
    # 512 MiB for everything, of which a factor of 20 takes twice as much.
    script = (
        "import resource, sys\n"
        "from dbbackup.codecs.age_passphrase import encrypt, decrypt\n"
        "from dbbackup.streams import *\n"
        "plain = PeekableReader(IteratorReader([b'x']))\n"
        "message = b''.join(encrypt(plain, 'word', 4)).replace(b' 4\\n', b' 20\\n', 1)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))\n"
        "list(decrypt(PeekableReader(IteratorReader([message])), 'word'))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "CodecError: There is not enough memory for the work factor" in result.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [(b" 4\n", b" 04\n"), (b" 4\n", b" 0\n"), (b" 4\n", b"\n"), (b"scrypt ", b"scrypt  "), (b"\n--- ", b"\n\n--- ")],
)
def test_a_malformed_header_is_refused(old: bytes, new: bytes) -> None:
    with pytest.raises(CodecError, match="malformed"):
        opened(sealed(b"x").replace(old, new, 1))


def test_every_message_has_keys_of_its_own() -> None:
    assert len({sealed(b"x") for _ in range(5)}) == 5
