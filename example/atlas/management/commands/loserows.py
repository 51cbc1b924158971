"""Delete many rows, for the quickstart to bring back."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from atlas.models import City


class Command(BaseCommand):
    help = "Delete the cities with fewer than 100000 people, and all that hangs on them."

    def handle(self, **options: Any) -> None:
        deleted, _ = City.objects.filter(population__lt=100_000).delete()
        self.stdout.write(f"Deleted {deleted} rows.")
