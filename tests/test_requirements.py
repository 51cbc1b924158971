from __future__ import annotations

import pytest

from tests import requirements


@pytest.mark.parametrize("names", [(), ("sh",), ("python:json",), ("sh", "python:json")])
def test_nothing_is_missing(names):
    assert requirements.missing(names) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no-such-program", "needs no-such-program: apt-get install no-such-program"),
        ("python:no_such_module", "needs no_such_module: pip install no_such_module"),
    ],
)
def test_what_is_missing_is_named(name, reason):
    assert requirements.missing(("sh", name)) == reason


@pytest.mark.parametrize(("value", "expected"), [("all", True), ("", False)])
def test_the_environment_forbids_skipping(monkeypatch, value, expected):
    monkeypatch.setenv(requirements.REQUIRE_VARIABLE, value)

    assert requirements.must_run() is expected
