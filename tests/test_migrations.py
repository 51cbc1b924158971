from __future__ import annotations

import json

import pytest

from dbbackup.migrations import compare
from tests.process import manage

CODE = {"auth": ["0012_alter_user_first_name_max_length"], "contenttypes": ["0002_remove_content_type_name"]}
CODE |= {"atlas": ["0001_initial"]}


@pytest.mark.parametrize(
    ("backup", "words"),
    [
        ({}, ""),
        (CODE, "equal to this code's"),
        (CODE | {"auth": ["0001_initial"]}, "behind this code: run `migrate` afterwards (auth)"),
        (CODE | {"auth": ["0099_later"]}, "ahead of this code, which does not know auth.0099_later"),
        (CODE | {"auth": ["0099_later"], "atlas": []}, "diverged from this code: it has auth.0099_later"),
    ],
)
def test_comparison(backup, words):
    said = compare(backup)
    assert said.startswith(words)
    assert bool(said) == bool(words)


def test_leaves_of_a_migrated_database_are_in_the_manifest(project):
    project.configure('INSTALLED_APPS += ["django.contrib.contenttypes", "django.contrib.auth"]')
    assert manage(project, "migrate", "-v0").returncode == 0
    done = manage(project, "dbbackup", "--json")
    name = json.loads(done.stdout)["name"]
    said = json.loads((project.backups / f"{name}.metadata").read_text())["migrations"]
    assert said["contenttypes"] == ["0002_remove_content_type_name"]
    assert list(said) == ["auth", "contenttypes"]
    done = manage(project, "dbrestore", "--noinput")
    assert "equal to this code's" in done.stderr
