"""Count the example's rows."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Print the number of rows of every table of the atlas."

    def handle(self, **options: Any) -> None:
        for model in apps.get_app_config("atlas").get_models(include_auto_created=True):
            self.stdout.write(f"{model._default_manager.count():>8}  {model._meta.db_table}")
