from __future__ import annotations

import io
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dbbackup.codecs import KeyUnavailable
from dbbackup.codecs.gpg import GpgCodec
from dbbackup.exceptions import CodecError, ConfigurationError, ProgramNotFound
from dbbackup.streams import CHUNK_SIZE, IteratorReader
from tests.codecs.damage import (
    decode,
    encode,
    every_cut_raises,
    every_flip_raises_or_changes_nothing,
    everything_added_raises,
)
from tests.gpg import LOCKED_KEY, PASSPHRASE, PLAIN_KEY, add_key, gpg
from tests.requirements import requires

pytestmark = [requires("gpg", "gpgconf"), pytest.mark.usefixtures("gpg_home")]

PLAIN = b"INSERT INTO thing VALUES (1, 'nut');\n" + os.urandom(100)
LARGE = os.urandom(2 * CHUNK_SIZE + 7)


def codec(**options: Any) -> GpgCodec:
    return GpgCodec(**{"recipients": [PLAIN_KEY], "always_trust": True, **options})


def asked(answer: str | None) -> tuple[list[str], Any]:
    """Return a prompt that gives ``answer``, and the list of its calls."""
    calls: list[str] = []

    def prompt() -> str | None:
        calls.append("asked")
        return answer

    return calls, prompt


@pytest.mark.parametrize("armor", [True, False])
@pytest.mark.parametrize("plain", [b"", b"x", PLAIN, LARGE], ids=["empty", "byte", "small", "large"])
def test_comes_back(plain: bytes, armor: bool) -> None:
    encoded = encode(codec(armor=armor), plain)
    assert encoded.startswith(b"-----BEGIN PGP MESSAGE-----") is armor
    assert GpgCodec.matches(encoded[:4096])
    assert decode(GpgCodec(), encoded) == plain


def test_gpg_opens_what_is_written(gpg_home: Path) -> None:
    assert gpg(gpg_home, "--decrypt", data=encode(codec(), LARGE)) == LARGE


def test_any_recipient_opens_it(gpg_home: Path) -> None:
    encoded = encode(codec(recipients=[PLAIN_KEY, LOCKED_KEY]), PLAIN)
    assert decode(GpgCodec(), encoded) == PLAIN
    packets = gpg(gpg_home, "--list-packets", data=encoded)
    assert packets.count(b":pubkey enc packet:") == 2


@pytest.mark.parametrize(("compressed_input", "is_small"), [(True, False), (False, True)])
def test_compresses_only_what_is_not_compressed(compressed_input: bool, is_small: bool) -> None:
    encoded = encode(codec(armor=False, compressed_input=compressed_input), bytes(100_000))
    assert (len(encoded) < 10_000) is is_small


@pytest.mark.parametrize("options", [["--rfc4880"], ["--symmetric", "--s2k-mode", "0"], ["--hidden-recipient"]])
def test_recognizes_messages_in_other_forms(gpg_home: Path, options: list[str]) -> None:
    key = {"--symmetric": ["--pinentry-mode", "loopback", "--passphrase", "word"]}.get(options[0], [])
    if options[0] == "--hidden-recipient":
        args = ["--hidden-recipient", PLAIN_KEY, "--encrypt"]
    else:
        args = options if key else [*options, "--recipient", PLAIN_KEY, "--encrypt"]
    encoded = gpg(gpg_home, "--trust-model", "always", *key, *args, data=PLAIN)
    assert GpgCodec.matches(encoded)
    assert decode(GpgCodec(passphrase="word"), encoded) == PLAIN


@pytest.mark.parametrize("head", [b"", b"\x85", b"SQLite format 3\0", b"PGDMP", b"--\n-- dump", b"\x1f\x8b\x08\0"])
def test_does_not_claim_what_is_not_a_message(head: bytes) -> None:
    assert not GpgCodec.matches(head)
    with pytest.raises(CodecError, match="not an encrypted gpg message"):
        decode(GpgCodec(), head)


class TestDamage:
    def test_of_armour_raises(self) -> None:
        encoded = encode(codec(), PLAIN)
        every_cut_raises(
            codec(), encoded, [*random.sample(range(len(encoded)), 30), *range(len(encoded) - 45, len(encoded))]
        )
        every_flip_raises_or_changes_nothing(codec(), encoded, PLAIN, 60)
        everything_added_raises(codec(), encoded)

    def test_of_binary_raises(self) -> None:
        encoded = encode(codec(armor=False, compressed_input=True), PLAIN)
        every_cut_raises(
            codec(), encoded, [*random.sample(range(len(encoded)), 30), *range(len(encoded) - 25, len(encoded))]
        )
        every_flip_raises_or_changes_nothing(codec(), encoded, PLAIN, 60)
        everything_added_raises(codec(), encoded)

    @pytest.mark.parametrize("armor", [True, False])
    def test_of_a_large_message_raises(self, armor: bool) -> None:
        encoded = encode(codec(armor=armor, compressed_input=True), LARGE)
        every_cut_raises(codec(), encoded, random.sample(range(len(encoded)), 10))
        every_flip_raises_or_changes_nothing(codec(), encoded, LARGE, 10)
        everything_added_raises(codec(), encoded)

    def test_of_the_newline_raises(self) -> None:
        encoded = encode(codec(), PLAIN)
        with pytest.raises(CodecError, match="cut off"):
            decode(codec(), encoded.removesuffix(b"\n"))
        assert decode(codec(), encoded.replace(b"\n", b"\r\n")) == PLAIN

    def test_two_messages_are_not_one(self) -> None:
        for armor in (True, False):
            encoded = encode(codec(armor=armor), PLAIN)
            with pytest.raises(CodecError, match="follows"):
                decode(codec(), encoded * 2)

    def test_a_message_that_is_only_packed_is_refused(self, gpg_home: Path) -> None:
        packed = gpg(gpg_home, "--armor", "--store", data=PLAIN)
        with pytest.raises(CodecError, match="not encrypted"):
            decode(codec(), packed)


class TestKeys:
    def test_no_recipient_names_the_setting(self) -> None:
        with pytest.raises(ConfigurationError, match="DBBACKUP_GPG_RECIPIENT"):
            GpgCodec().encode(io.BytesIO(PLAIN))

    def test_an_unknown_recipient_is_named(self) -> None:
        with pytest.raises(ConfigurationError, match=r"no public key for 'nobody@example\.com'"):
            encode(codec(recipients=[PLAIN_KEY, "nobody@example.com"]), PLAIN)

    def test_an_untrusted_key_names_the_setting(self, gpg_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        public = gpg(gpg_home, "--export", PLAIN_KEY)
        other = gpg_home / "other"
        other.mkdir(mode=0o700)
        gpg(other, "--import", data=public)
        monkeypatch.setenv("GNUPGHOME", str(other))
        with pytest.raises(ConfigurationError, match="DBBACKUP_GPG_ALWAYS_TRUST"):
            encode(codec(always_trust=False), PLAIN)
        assert encode(codec(), PLAIN)

    def test_an_expired_key_is_refused(self, gpg_home: Path) -> None:
        add_key(gpg_home, "expired@example.com", "", made="20200101T000000", expires="20210101T000000")
        with pytest.raises(ConfigurationError, match=r"'expired@example\.com'"):
            encode(codec(recipients=["expired@example.com"]), PLAIN)

    def test_any_other_trouble_is_told_in_the_words_of_gpg(self, gpg_home: Path) -> None:
        conf = gpg_home / "gpg.conf"
        conf.write_text("cipher-algo NONE\n")
        try:
            with pytest.raises(CodecError, match="gpg cannot encrypt: selected cipher algorithm is invalid"):
                encode(codec(), PLAIN)
        finally:
            conf.unlink()

    def test_a_missing_secret_key_is_named(self, gpg_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        encoded = encode(codec(), PLAIN)
        empty = gpg_home / "empty"
        empty.mkdir(mode=0o700)
        monkeypatch.setenv("GNUPGHOME", str(empty))
        with pytest.raises(KeyUnavailable, match=r"secret key [0-9A-F]{16} is not in its keyring"):
            decode(codec(), encoded)

    def test_a_missing_program_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("PATH", "/nowhere")
            with pytest.raises(ProgramNotFound, match="'gpg' was not found"):
                codec().encode(io.BytesIO(PLAIN))


class TestPassphrase:
    @pytest.fixture
    def locked(self) -> bytes:
        return encode(codec(recipients=[LOCKED_KEY]), PLAIN)

    def test_opens_the_key(self, locked: bytes) -> None:
        assert decode(GpgCodec(passphrase=PASSPHRASE), locked) == PLAIN

    def test_wrong_says_so(self, locked: bytes) -> None:
        with pytest.raises(KeyUnavailable, match="the passphrase is wrong") as caught:
            decode(GpgCodec(passphrase="geheimes Wort"), locked)
        assert "geheim" not in str(caught.value)

    def test_missing_names_where_to_give_it(self, locked: bytes) -> None:
        with pytest.raises(KeyUnavailable, match="DBBACKUP_GPG_PASSPHRASE"):
            decode(GpgCodec(), locked)

    def test_is_asked_for_when_it_is_needed(self, locked: bytes) -> None:
        calls, prompt = asked(PASSPHRASE)
        assert decode(GpgCodec(passphrase_prompt=prompt), locked) == PLAIN
        assert calls == ["asked"]

    def test_is_not_asked_for_when_it_was_given(self, locked: bytes) -> None:
        calls, prompt = asked("wrong")
        assert decode(GpgCodec(passphrase=PASSPHRASE, passphrase_prompt=prompt), locked) == PLAIN
        assert calls == []

    def test_is_not_asked_for_when_the_key_needs_none(self) -> None:
        calls, prompt = asked("wrong")
        large = encode(codec(), LARGE)
        assert decode(GpgCodec(passphrase_prompt=prompt), large) == LARGE
        assert calls == []

    def test_not_answered_is_missing(self, locked: bytes) -> None:
        _, prompt = asked(None)
        with pytest.raises(KeyUnavailable, match="needs a passphrase"):
            decode(GpgCodec(passphrase_prompt=prompt), locked)

    def test_of_a_message_without_keys(self, gpg_home: Path) -> None:
        options = ["--pinentry-mode", "loopback", "--passphrase", PASSPHRASE, "--no-symkey-cache"]
        encoded = gpg(gpg_home, *options, "--symmetric", data=PLAIN)
        calls, prompt = asked(PASSPHRASE)
        assert decode(GpgCodec(passphrase_prompt=prompt), encoded) == PLAIN
        assert calls == ["asked"]
        with pytest.raises(KeyUnavailable, match="wrong"):
            decode(GpgCodec(passphrase="another"), encoded)

    def test_never_stands_on_the_command_line(
        self, locked: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = tmp_path / "gpg"
        program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/args; env > {tmp_path}/env; exec /usr/bin/gpg "$@"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        assert decode(GpgCodec(passphrase=PASSPHRASE), locked) == PLAIN
        assert "--decrypt" in (tmp_path / "args").read_text()
        assert PASSPHRASE not in (tmp_path / "args").read_text() + (tmp_path / "env").read_text()


def test_the_error_of_the_source_comes_first() -> None:
    def failing() -> Iterator[bytes]:
        yield PLAIN
        raise ValueError("upstream")

    with codec().encode(IteratorReader(failing())) as reader, pytest.raises(ValueError, match="upstream"):
        reader.read()


def test_an_early_close_ends_gpg_and_closes_the_source() -> None:
    source = io.BytesIO(LARGE * 4)
    reader = codec().encode(source)
    assert reader.read(1)
    reader.close()
    assert source.closed
