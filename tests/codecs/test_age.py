from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from dbbackup.codecs import KeyUnavailable, age_passphrase
from dbbackup.codecs.age import AgeCodec
from dbbackup.exceptions import CodecError, ConfigurationError
from dbbackup.streams import CHUNK_SIZE, IteratorReader, PeekableReader
from tests.codecs.damage import (
    decode,
    encode,
    every_cut_raises,
    every_flip_raises_or_changes_nothing,
    everything_added_raises,
)
from tests.requirements import requires

pytestmark = requires("python:pyrage", "python:cryptography")

PLAIN = b"INSERT INTO thing VALUES (1, 'nut');\n" + os.urandom(100)
LARGE = os.urandom(2 * CHUNK_SIZE + 7)


@dataclass(frozen=True)
class Key:
    public: str
    file: Path


def new_key(folder: Path) -> Key:
    """Return a new key in a file as age-keygen writes it."""
    identity = import_module("pyrage").x25519.Identity.generate()
    public = str(identity.to_public())
    file = folder / f"{public[-8:]}.txt"
    file.write_text(f"# created: 2026-11-23T10:00:00Z\n# public key: {public}\n{identity}\n")
    return Key(public, file)


def ssh_key(folder: Path, kind: str, passphrase: str = "") -> Key:
    file = folder / f"id_{kind}"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(file)], check=True)
    return Key(file.with_suffix(".pub").read_text(), file)


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return new_key(tmp_path)


@pytest.fixture
def codec(key: Key) -> AgeCodec:
    return AgeCodec(recipients=[key.public], identity_files=[str(key.file)])


@pytest.mark.parametrize("plain", [b"", b"x", PLAIN, bytes(64 * 1024), LARGE], ids=len)
def test_comes_back(codec: AgeCodec, plain: bytes) -> None:
    encoded = encode(codec, plain)
    assert AgeCodec.matches(encoded[:4096])
    assert decode(codec, encoded) == plain


def test_damage_raises(codec: AgeCodec) -> None:
    encoded = encode(codec, PLAIN)
    every_cut_raises(codec, encoded)
    every_flip_raises_or_changes_nothing(codec, encoded, PLAIN, 500)
    everything_added_raises(codec, encoded)


def test_damage_of_a_large_message_raises(codec: AgeCodec) -> None:
    encoded = encode(codec, LARGE)
    # Where a chunk ends, a cut leaves nothing but whole chunks.
    whole_chunks = [len(encoded) - (len(LARGE) % 65536 + 16) - number * 65552 for number in range(3)]
    every_cut_raises(codec, encoded, [*whole_chunks, len(encoded) // 2, len(encoded) - 1])
    everything_added_raises(codec, encoded)


@requires("age")
class TestStockProgram:
    def test_opens_what_is_written(self, codec: AgeCodec, key: Key) -> None:
        command = ["age", "--decrypt", "-i", str(key.file)]
        result = subprocess.run(command, input=encode(codec, LARGE), capture_output=True, check=True)
        assert result.stdout == LARGE

    @pytest.mark.parametrize("armor", [[], ["--armor"]])
    def test_what_it_writes_opens(self, codec: AgeCodec, key: Key, armor: list[str]) -> None:
        command = ["age", *armor, "-r", key.public]
        encoded = subprocess.run(command, input=LARGE, capture_output=True, check=True).stdout
        assert AgeCodec.matches(encoded)
        assert decode(codec, encoded) == LARGE

    def test_damage_of_armour_raises(self, codec: AgeCodec, key: Key) -> None:
        command = ["age", "--armor", "-r", key.public]
        encoded = subprocess.run(command, input=PLAIN, capture_output=True, check=True).stdout
        every_cut_raises(codec, encoded)
        every_flip_raises_or_changes_nothing(codec, encoded, PLAIN, 500)
        everything_added_raises(codec, encoded)

    def test_the_line_by_hand_is_its_command(self, codec: AgeCodec) -> None:
        command = ["sh", "-c", codec.decode_by_hand]
        result = subprocess.run(command, input=encode(codec, PLAIN), capture_output=True, check=True)
        assert result.stdout == PLAIN


class TestByHand:
    def test_without_a_key_file_has_a_place_for_it(self, key: Key) -> None:
        assert AgeCodec(recipients=[key.public]).decode_by_hand == "age --decrypt -i KEY_FILE"

    def test_quotes_names(self, tmp_path: Path) -> None:
        name = str(tmp_path / "my key.txt")
        assert AgeCodec(identity_files=[name]).decode_by_hand == f"age --decrypt -i {shlex.quote(name)}"

    def test_with_a_passphrase_needs_no_key(self) -> None:
        assert AgeCodec(passphrase="word").decode_by_hand == "age --decrypt"


class TestRecipients:
    def test_each_opens_it(self, tmp_path: Path) -> None:
        keys = [new_key(tmp_path), new_key(tmp_path)]
        encoded = encode(AgeCodec(recipients=[key.public for key in keys]), PLAIN)
        for key in keys:
            assert decode(AgeCodec(identity_files=[key.file]), encoded) == PLAIN

    @requires("ssh-keygen")
    @pytest.mark.parametrize("kind", ["ed25519", "rsa"])
    def test_may_be_ssh_keys(self, tmp_path: Path, kind: str) -> None:
        key = ssh_key(tmp_path, kind)
        encoded = encode(AgeCodec(recipients=[key.public]), PLAIN)
        assert decode(AgeCodec(identity_files=[str(key.file)]), encoded) == PLAIN

    def test_none_names_the_setting(self) -> None:
        with pytest.raises(ConfigurationError, match="DBBACKUP_AGE_RECIPIENTS"):
            AgeCodec().encode(io.BytesIO(PLAIN))

    @pytest.mark.parametrize("public", ["age1nonsense", "ssh-ed25519 nonsense", "me@example.com", ""])
    def test_nonsense_is_named(self, public: str) -> None:
        with pytest.raises(ConfigurationError, match=f"'{public}' is not a public key"):
            AgeCodec(recipients=[public]).encode(io.BytesIO(PLAIN))


class TestIdentities:
    def test_several_in_a_file_and_several_files(self, tmp_path: Path) -> None:
        keys = [new_key(tmp_path) for _ in range(3)]
        both = tmp_path / "both.txt"
        both.write_text(f"\n# old\n{keys[0].file.read_text()}\n\n# new\n{keys[1].file.read_text()}")
        codec = AgeCodec(identity_files=[str(both), str(keys[2].file)])
        for key in keys:
            assert decode(codec, encode(AgeCodec(recipients=[key.public]), PLAIN)) == PLAIN

    def test_another_key_says_so(self, codec: AgeCodec, tmp_path: Path) -> None:
        other = AgeCodec(identity_files=[str(new_key(tmp_path).file)])
        with pytest.raises(KeyUnavailable, match="other keys than those in DBBACKUP_AGE_IDENTITY_FILE"):
            decode(other, encode(codec, PLAIN))

    def test_none_names_the_setting(self, codec: AgeCodec) -> None:
        with pytest.raises(KeyUnavailable, match="DBBACKUP_AGE_IDENTITY_FILE"):
            decode(AgeCodec(), encode(codec, PLAIN))

    def test_a_missing_file_is_named(self, codec: AgeCodec, tmp_path: Path) -> None:
        missing = tmp_path / "missing.txt"
        with pytest.raises(ConfigurationError, match=r"missing\.txt cannot be read: No such file"):
            decode(AgeCodec(identity_files=[str(missing)]), encode(codec, PLAIN))

    @pytest.mark.parametrize("content", ["AGE-SECRET-KEY-1GEHEIM\n", "-----BEGIN OPENSSH PRIVATE KEY-----\ngeheim"])
    def test_nonsense_is_not_shown(self, codec: AgeCodec, tmp_path: Path, content: str) -> None:
        (tmp_path / "bad.txt").write_text(content)
        with pytest.raises(ConfigurationError, match=r"bad\.txt cannot be used") as caught:
            decode(AgeCodec(identity_files=[str(tmp_path / "bad.txt")]), encode(codec, PLAIN))
        assert "geheim" not in str(caught.value).lower()

    def test_an_empty_file_is_named(self, codec: AgeCodec, tmp_path: Path) -> None:
        (tmp_path / "empty.txt").write_text("# nothing\n")
        with pytest.raises(ConfigurationError, match=r"empty\.txt holds no key"):
            decode(AgeCodec(identity_files=[str(tmp_path / "empty.txt")]), encode(codec, PLAIN))

    @requires("ssh-keygen")
    def test_a_locked_ssh_key_is_refused(self, codec: AgeCodec, tmp_path: Path) -> None:
        locked = ssh_key(tmp_path, "ed25519", "word")
        with pytest.raises(ConfigurationError, match="must be decrypted first"):
            decode(AgeCodec(identity_files=[str(locked.file)]), encode(codec, PLAIN))


class TestPassphrase:
    @pytest.fixture
    def locked(self) -> bytes:
        # A work factor for tests.
        with io.BytesIO(PLAIN) as source:
            return b"".join(age_passphrase.encrypt(PeekableReader(source), "word", log_n=4))

    def test_comes_back(self) -> None:
        encoded = encode(AgeCodec(passphrase="grüne Tinte"), LARGE)
        assert AgeCodec.matches(encoded[:4096])
        assert decode(AgeCodec(passphrase="grüne Tinte"), encoded) == LARGE

    def test_recipients_come_first(self, key: Key) -> None:
        encoded = encode(AgeCodec(recipients=[key.public], passphrase="word"), PLAIN)
        assert decode(AgeCodec(identity_files=[str(key.file)]), encoded) == PLAIN

    def test_missing_names_where_to_give_it(self, locked: bytes) -> None:
        for prompt in (None, lambda: None):
            with pytest.raises(KeyUnavailable, match="DBBACKUP_AGE_PASSPHRASE"):
                decode(AgeCodec(passphrase_prompt=prompt), locked)

    def test_is_asked_for_only_when_it_is_needed(self, codec: AgeCodec, locked: bytes) -> None:
        calls: list[Any] = []

        def prompt() -> str:
            calls.append("asked")
            return "word"

        codec.passphrase_prompt = prompt
        assert decode(codec, encode(codec, PLAIN)) == PLAIN
        assert calls == []
        assert decode(codec, locked) == PLAIN
        assert calls == ["asked"]


@pytest.mark.parametrize(
    "head", [b"", b"age-encryption.org/v2\n", b"SQLite format 3\0", b"-----BEGIN PGP MESSAGE-----\n"]
)
def test_refuses_what_is_not_a_message(codec: AgeCodec, head: bytes) -> None:
    with pytest.raises(CodecError, match="not an age message"):
        decode(codec, head)


def test_the_error_of_the_source_comes_first(codec: AgeCodec) -> None:
    def failing(first: bytes) -> Iterator[bytes]:
        yield first
        raise ValueError("upstream")

    for method, first in ((codec.encode, PLAIN), (codec.decode, encode(codec, LARGE)[:1000])):
        with method(IteratorReader(failing(first))) as reader, pytest.raises(ValueError, match="upstream"):
            reader.read()


def test_an_early_close_closes_the_source(codec: AgeCodec) -> None:
    for method, data in ((codec.encode, LARGE * 4), (codec.decode, encode(codec, LARGE * 4))):
        source = io.BytesIO(data)
        reader = method(source)
        assert reader.read(1)
        reader.close()
        assert source.closed


@pytest.mark.parametrize("module", ["pyrage", "cryptography"])
def test_missing_packages_name_the_extra(module: str) -> None:
    script = (
        f"import sys; sys.modules['{module}'] = None\n"
        "import io\n"
        "from dbbackup.codecs.age import AgeCodec\n"
        "keys = {'pyrage': {'recipients': ['age1x']}, 'cryptography': {'passphrase': 'word'}}\n"
        f"AgeCodec(**keys['{module}']).encode(io.BytesIO()).read()\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert 'pip install "dbbackup-django[age]"' in result.stderr.splitlines()[-1]
