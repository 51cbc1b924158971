from __future__ import annotations

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="City",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("name", models.CharField(db_index=True, max_length=200)),
                ("latitude", models.DecimalField(decimal_places=6, max_digits=9)),
                ("longitude", models.DecimalField(decimal_places=6, max_digits=9)),
                ("population", models.PositiveIntegerField()),
                ("timezone", models.CharField(max_length=40)),
                ("alternate_names", models.JSONField(default=list)),
            ],
            options={
                "verbose_name_plural": "cities",
            },
        ),
        migrations.CreateModel(
            name="Language",
            fields=[
                ("code", models.CharField(max_length=16, primary_key=True, serialize=False)),
            ],
        ),
        migrations.CreateModel(
            name="Country",
            fields=[
                ("code", models.CharField(max_length=2, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100, unique=True)),
                ("continent", models.CharField(db_index=True, max_length=2)),
                (
                    "area",
                    models.DecimalField(decimal_places=2, max_digits=12, verbose_name="area in km²"),
                ),
                ("population", models.BigIntegerField()),
                ("facts", models.JSONField(default=dict)),
                (
                    "capital",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="capital_of",
                        to="atlas.city",
                    ),
                ),
                ("neighbours", models.ManyToManyField(blank=True, to="atlas.country")),
                (
                    "languages",
                    models.ManyToManyField(blank=True, related_name="countries", to="atlas.language"),
                ),
            ],
            options={
                "verbose_name_plural": "countries",
            },
        ),
        migrations.AddField(
            model_name="city",
            name="country",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="cities",
                to="atlas.country",
            ),
        ),
        migrations.CreateModel(
            name="Stop",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("position", models.PositiveSmallIntegerField()),
                ("arrives", models.DateTimeField()),
                ("stay", models.DurationField()),
                ("rating", models.FloatField(blank=True, null=True)),
                (
                    "city",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="stops",
                        to="atlas.city",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Trip",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("title", models.CharField(max_length=200)),
                ("starts", models.DateField()),
                ("departs", models.TimeField()),
                ("budget", models.DecimalField(decimal_places=2, max_digits=10)),
                (
                    "cities",
                    models.ManyToManyField(related_name="trips", through="atlas.Stop", to="atlas.city"),
                ),
                (
                    "traveller",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL),
                ),
            ],
        ),
        migrations.AddField(
            model_name="stop",
            name="trip",
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="stops", to="atlas.trip"),
        ),
        migrations.CreateModel(
            name="JournalEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("written", models.DateTimeField()),
                ("text", models.TextField()),
                ("private", models.BooleanField(default=False)),
                ("photo", models.FileField(blank=True, upload_to="photos")),
                ("thumbnail", models.BinaryField(blank=True)),
                (
                    "continues",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="continued_by",
                        to="atlas.journalentry",
                    ),
                ),
                (
                    "trip",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="entries",
                        to="atlas.trip",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "journal entries",
            },
        ),
        migrations.AddConstraint(
            model_name="stop",
            constraint=models.UniqueConstraint(fields=("trip", "position"), name="one_stop_per_position"),
        ),
    ]
