"""The example's one app."""

from __future__ import annotations

from django.apps import AppConfig


class AtlasConfig(AppConfig):
    name = "atlas"
    default_auto_field = "django.db.models.BigAutoField"
