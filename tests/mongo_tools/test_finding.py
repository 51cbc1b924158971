"""Which programs the tests run."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest

from tests.mongo_tools import finding
from tests.requirements import requires

# What the stand-ins import.
pytestmark = requires("python:pymongo", "python:fastcrc")


@pytest.fixture
def nothing_found(monkeypatch, tmp_path):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delenv(finding.VARIABLE, raising=False)


def write_programs(folder, *names, version="100.18.0"):
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"#!/bin/sh\necho {name} version: {version}\n")
        (folder / name).chmod(0o755)
    return folder


def test_without_programs_the_stand_ins_run(nothing_found, tmp_path):
    folder = tmp_path / "a folder that's named"
    folder.mkdir()

    finding.provide(folder)
    run = subprocess.run([folder / "mongodump", "--version"], env={}, capture_output=True, text=True, check=True)

    assert finding.header() == "MongoDB tools: stand-ins"
    assert run.stdout.startswith("mongodump version: ")


def test_one_program_alone_is_none(nothing_found, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(write_programs(tmp_path / "bin", "mongodump")))

    assert finding.header() == "MongoDB tools: stand-ins"


def test_programs_on_the_path(nothing_found, monkeypatch, tmp_path):
    bin_folder, folder = write_programs(tmp_path / "bin", *finding.NAMES), tmp_path / "provided"
    monkeypatch.setenv("PATH", str(bin_folder))
    folder.mkdir()

    finding.provide(folder)

    assert finding.header() == f"MongoDB tools: real, 100.18.0 ({bin_folder})"
    assert {path.name: path.resolve() for path in folder.iterdir()} == {
        name: bin_folder / name for name in finding.NAMES
    }


def test_the_variable_comes_first(nothing_found, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(write_programs(tmp_path / "bin", *finding.NAMES)))
    other = write_programs(tmp_path / "other", *finding.NAMES, version="built-without-version-string")
    monkeypatch.setenv(finding.VARIABLE, str(other))

    assert finding.header() == f"MongoDB tools: real, built-without-version-string ({other})"


def test_the_variable_has_to_name_both(nothing_found, monkeypatch, tmp_path):
    monkeypatch.setenv(finding.VARIABLE, str(write_programs(tmp_path / "other", "mongodump")))

    with pytest.raises(pytest.UsageError, match="there is no program mongorestore"):
        finding.header()


def test_a_stand_in_starts_quickly(nothing_found, tmp_path):
    finding.provide(tmp_path)
    words = [str(tmp_path / "mongodump"), "--version"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env={})
    durations = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env={"PYTHONDEVMODE": "1"})
        durations.append(time.perf_counter() - start)

    # A tenth of a second on a machine that does nothing else; development mode would double it.
    assert min(durations) < 1


def test_the_shell_that_starts_them_is_there():
    assert os.access("/bin/sh", os.X_OK)
    assert shutil.which("sh")
