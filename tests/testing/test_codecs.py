"""The conformance suite of codecs, for one that is not in the package; ours run it beside their own tests."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import BinaryIO

import pytest

from dbbackup.codecs.base import Codec
from dbbackup.testing import CodecConformance
from tests.testing.custom import Bzip2Codec


class TestBzip2(CodecConformance):
    def make_codec(self) -> Codec:
        return Bzip2Codec()


class Careless(Bzip2Codec):
    """What many codecs do: it takes a message that was cut off for a whole one."""

    def _decompressed(self, source: BinaryIO):
        with suppress(Exception):
            yield from super()._decompressed(source)


@pytest.mark.parametrize(
    "test", ["cut_message_is_refused", "something_else_is_refused", "error_of_the_source_is_raised"]
)
def test_suite_finds_a_careless_codec(test: str):
    class Suite(CodecConformance):
        def make_codec(self) -> Codec:
            return Careless()

    with pytest.raises(AssertionError):
        getattr(Suite(), f"test_{test}")()


def test_forgetful_author_is_told():
    with pytest.raises(NotImplementedError, match=r"must provide a make_codec\(\) method"):
        CodecConformance().make_codec()
    with pytest.raises(NotImplementedError, match=r"must provide an encode\(\) method"):
        Codec().encode(io.BytesIO())
