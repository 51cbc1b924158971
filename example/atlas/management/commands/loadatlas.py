"""Fill the example with countries, cities and trips."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from atlas.loading import load
from atlas.models import City, JournalEntry, Stop


class Command(BaseCommand):
    help = "Replace the atlas by real countries and cities and invented trips."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--cities", type=int, help="only the N largest cities (default: all)")

    def handle(self, *, cities: int | None, **options: Any) -> None:
        load(cities=cities)
        self.stdout.write(
            f"Loaded {City.objects.count()} cities, {Stop.objects.count()} stops and "
            f"{JournalEntry.objects.count()} journal entries."
        )
