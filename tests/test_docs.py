"""The reference names everything that exists, and nothing else."""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import tomllib
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.dispatch import Signal

from dbbackup import conf, signals
from dbbackup.catalog.manifest import KEYS
from dbbackup.db import mongodb, mysql, postgresql
from dbbackup.db.mongodb.uri_values import WRITERS
from dbbackup.db.mysql import login as mysql_login
from dbbackup.db.postgresql import login

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"

COMMANDS = sorted(name for name, app in get_commands().items() if app == "dbbackup")


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text()


def sections(text: str) -> dict[str, str]:
    """Return the second-level sections of a page by their titles."""
    _, *parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def first_cells(text: str) -> list[str]:
    """Return the first cell of every table row, without the heads."""
    rows = re.findall(r"^\| ?(.+?) \|.*$", text, flags=re.MULTILINE)
    return [row for row in rows if "`" in row]


def flags(text: str) -> set[str]:
    return {flag for cell in first_cells(text) for flag in re.findall(r"`(--?[A-Za-z][\w-]*)[^`]*`", cell)}


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_is_documented(name):
    command = load_command_class("dbbackup", name)
    existing = options(command.create_parser("manage.py", name)) - DJANGO_OPTIONS
    shared = flags(page("commands").partition("\n## ")[0])

    assert flags(sections(page("commands"))[name]) | shared == existing | shared


DJANGO_OPTIONS = options(BaseCommand().create_parser("manage.py", "none"))


def test_the_commands_are_documented():
    assert sorted(sections(page("commands"))) == COMMANDS


def test_every_setting_is_documented(monkeypatch):
    asked = set()

    class Recorder:
        def __getattr__(self, name):
            asked.add(name)
            return getattr(django_settings, name)

    monkeypatch.setattr(conf, "django_settings", Recorder())
    conf.get_settings.cache_clear()
    conf.get_settings()
    conf.get_settings.cache_clear()
    documented = re.findall(r"^### (\w+)$", page("settings"), flags=re.MULTILINE)

    assert sorted(documented) == sorted(name for name in asked if name.startswith("DBBACKUP_"))


def test_every_check_is_documented():
    source = (ROOT / "src" / "dbbackup" / "checks.py").read_text()
    pattern = r"\b[EWI]\d{3}\b"

    assert set(re.findall(pattern, "".join(first_cells(page("checks"))))) == set(re.findall(pattern, source))


def test_every_signal_is_documented():
    existing = {name for name, value in vars(signals).items() if isinstance(value, Signal)}

    assert {cell.strip("`") for cell in first_cells(page("signals"))} == existing


def test_every_exception_is_documented():
    existing = {
        name
        for module in ("dbbackup.exceptions", "dbbackup.db.exceptions", "dbbackup.codecs.base")
        for name, value in vars(importlib.import_module(module)).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }
    table = page("errors").partition("## Exceptions")[2]

    assert {re.findall(r"`(\w+)`", cell)[0] for cell in first_cells(table)} == existing


def test_every_key_of_the_manifest_is_documented():
    table = page("manifest").partition("## Status")[0]

    assert {key for cell in first_cells(table) for key in re.findall(r"`(\w+)`", cell)} == KEYS


@pytest.mark.parametrize("name", ["PgDumpBinaryConnector", "PgDumpConnector", "PgDumpGisConnector"])
def test_every_option_of_the_postgresql_connectors_is_documented(name):
    table = sections(page("connectors/postgresql"))["Options"]
    documented = {option for cell in first_cells(table) for option in re.findall(r"`([A-Z_]+)`", cell)}
    # These come from settings of their own, DBBACKUP_TMP_DIR and so on.
    general = {"TMP_DIR", "TMP_FILE_MAX_SIZE", "LOCK_TIMEOUT"}
    existing = {option.upper() for option in getattr(postgresql, name).options()}

    assert documented == (existing - general) | {"CONNECTOR", "PASSWORD"}


def test_every_option_that_reaches_postgresql_is_documented():
    text = sections(page("connectors/postgresql"))["Logging in"]

    assert {*login._VARIABLES, *login._PARAMETERS} <= set(re.findall(r"`(\w+)`", text))


def test_every_option_of_the_mysql_connector_is_documented():
    table = sections(page("connectors/mysql"))["Options"]
    documented = {option for cell in first_cells(table) for option in re.findall(r"`([A-Z_]+)`", cell)}
    general = {"TMP_DIR", "TMP_FILE_MAX_SIZE", "LOCK_TIMEOUT"}
    existing = {option.upper() for option in mysql.MysqlDumpConnector.options()}

    assert documented == (existing - general) | {"CONNECTOR"}


def test_every_option_that_reaches_mysql_is_documented():
    text = sections(page("connectors/mysql"))["Logging in"]

    assert set(mysql_login._BESIDE) <= set(re.findall(r"`(\w+)`", text))


def test_every_option_of_the_mongodb_connector_is_documented():
    table = sections(page("connectors/mongodb"))["Options"]
    documented = {option for cell in first_cells(table) for option in re.findall(r"`([A-Z_]+)`", cell)}
    general = {"TMP_DIR", "TMP_FILE_MAX_SIZE", "LOCK_TIMEOUT"}
    existing = {option.upper() for option in mongodb.MongoDumpConnector.options()}

    assert documented == (existing - general) | {"CONNECTOR"}


def test_every_option_that_reaches_mongodb_is_documented():
    text = sections(page("connectors/mongodb"))["Logging in"]

    assert {spelled for spelled, _ in WRITERS.values()} <= set(re.findall(r"`(\w+)`", text))


def test_the_readme_names_the_pythons_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    prefix = "Programming Language :: Python :: 3."
    versions = [f"3.{c.removeprefix(prefix)}" for c in project["classifiers"] if prefix in c]

    assert f"| Python | {', '.join(versions)} |" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    "path", sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]), ids=lambda path: path.stem
)
def test_links_lead_to_files(path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target
