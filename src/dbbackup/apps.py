"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register


class DBBackupConfig(AppConfig):
    """Register the system checks."""

    name = "dbbackup"
    label = "dbbackup"
    verbose_name = "Backup and restore"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks; importing them here keeps them out of a plain import of the package."""
        from dbbackup.checks import check_settings

        register(check_settings, "dbbackup")
