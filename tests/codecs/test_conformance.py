"""The suite that every codec must pass, for those of the package; tests/test_howto.py has one from elsewhere."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from dbbackup.codecs import Codec
from dbbackup.codecs.age import AgeCodec
from dbbackup.codecs.gpg import GpgCodec
from dbbackup.codecs.gzip import GzipCodec
from dbbackup.codecs.zstd import ZstdCodec
from dbbackup.testing import CodecConformance
from tests.gpg import PLAIN_KEY
from tests.requirements import requires


class TestGzip(CodecConformance):
    def make_codec(self) -> Codec:
        return GzipCodec()


class TestZstd(CodecConformance):
    def make_codec(self) -> Codec:
        return ZstdCodec()


@requires("gpg", "gpgconf")
@pytest.mark.usefixtures("gpg_home")
class TestArmoredGpg(CodecConformance):
    cuts = 10

    def make_codec(self) -> Codec:
        return GpgCodec(recipients=[PLAIN_KEY], always_trust=True)


@requires("gpg", "gpgconf")
@pytest.mark.usefixtures("gpg_home")
class TestBinaryGpg(CodecConformance):
    cuts = 10

    def make_codec(self) -> Codec:
        return GpgCodec(recipients=[PLAIN_KEY], always_trust=True, armor=False, compressed_input=True)


@requires("python:pyrage")
class TestAge(CodecConformance):
    @pytest.fixture(autouse=True)
    def _key(self, tmp_path: Path) -> None:
        identity = import_module("pyrage").x25519.Identity.generate()
        (tmp_path / "key.txt").write_text(f"{identity}\n")
        self.options = {"recipients": [str(identity.to_public())], "identity_files": [str(tmp_path / "key.txt")]}

    def make_codec(self) -> Codec:
        return AgeCodec(**self.options)
