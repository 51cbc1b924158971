"""The example's models, of every kind that a project may have, come back equal."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from atlas.loading import load
from atlas.models import City


def content() -> dict[str, list[Any]]:
    models = apps.get_app_config("atlas").get_models(include_auto_created=True)
    return {model._meta.label: list(model._default_manager.order_by("pk").values()) for model in models}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["SqliteBackupConnector", "SqliteConnector", "SqliteCPConnector"])
def test_the_atlas_comes_back(name, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.STORAGES = {
        **settings.STORAGES,
        "dbbackup": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "backups"},
        },
    }
    settings.DBBACKUP_CONNECTORS = {"default": {"CONNECTOR": f"dbbackup.db.sqlite.{name}"}}
    load(cities=200, trips=20, pictures=2)
    before = content()

    call_command("dbbackup", "--compress", "zstd", "--quiet")
    City.objects.filter(pk__in=[row["id"] for row in before["atlas.City"][:150]]).delete()
    assert content() != before
    call_command("dbrestore", "--noinput", "--quiet")

    assert content() == before
    connection.check_constraints()
