"""The Django project that is backed up; it runs with this package and with django-dbbackup."""
