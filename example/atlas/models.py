"""A traveller's atlas: real countries and cities, invented trips and journals."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class Language(models.Model):
    """A language, by the code that the country tables use: "de", "de-CH"."""

    code = models.CharField(max_length=16, primary_key=True)

    def __str__(self) -> str:
        return self.code


class Country(models.Model):
    code = models.CharField(max_length=2, primary_key=True)
    name = models.CharField(max_length=100, unique=True)
    continent = models.CharField(max_length=2, db_index=True)
    area = models.DecimalField("area in km²", max_digits=12, decimal_places=2)
    population = models.BigIntegerField()
    # The city's country points back here: a circle, as real schemas have them.
    capital = models.OneToOneField("City", on_delete=models.SET_NULL, null=True, blank=True, related_name="capital_of")
    languages = models.ManyToManyField(Language, related_name="countries", blank=True)
    neighbours = models.ManyToManyField("self", blank=True)
    facts = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "countries"

    def __str__(self) -> str:
        return self.name


class City(models.Model):
    name = models.CharField(max_length=200, db_index=True)
    country = models.ForeignKey(Country, on_delete=models.CASCADE, related_name="cities")
    latitude = models.DecimalField(max_digits=9, decimal_places=6)
    longitude = models.DecimalField(max_digits=9, decimal_places=6)
    population = models.PositiveIntegerField()
    timezone = models.CharField(max_length=40)
    alternate_names = models.JSONField(default=list)

    class Meta:
        verbose_name_plural = "cities"

    def __str__(self) -> str:
        return self.name


class Trip(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(max_length=200)
    traveller = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    starts = models.DateField()
    departs = models.TimeField()
    budget = models.DecimalField(max_digits=10, decimal_places=2)
    cities = models.ManyToManyField(City, through="Stop", related_name="trips")

    def __str__(self) -> str:
        return self.title


class Stop(models.Model):
    trip = models.ForeignKey(Trip, on_delete=models.CASCADE, related_name="stops")
    city = models.ForeignKey(City, on_delete=models.CASCADE, related_name="stops")
    position = models.PositiveSmallIntegerField()
    arrives = models.DateTimeField()
    stay = models.DurationField()
    rating = models.FloatField(null=True, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["trip", "position"], name="one_stop_per_position"),)

    def __str__(self) -> str:
        return f"{self.trip_id} {self.position}"


class JournalEntry(models.Model):
    trip = models.ForeignKey(Trip, on_delete=models.CASCADE, related_name="entries")
    continues = models.OneToOneField(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="continued_by"
    )
    written = models.DateTimeField()
    text = models.TextField()
    private = models.BooleanField(default=False)
    photo = models.FileField(upload_to="photos", blank=True)
    thumbnail = models.BinaryField(blank=True)

    class Meta:
        verbose_name_plural = "journal entries"

    def __str__(self) -> str:
        return f"{self.written:%Y-%m-%d} {self.text[:40]}"
