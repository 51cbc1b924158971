from __future__ import annotations

from pathlib import Path

import pytest
from django.test import override_settings

from dbbackup.conf import get_settings, passphrase
from dbbackup.exceptions import ConfigurationError


def keep(name: str) -> bool:
    return name == "kept"


def test_defaults():
    settings = get_settings()
    assert settings.databases == ("default",)
    assert (settings.cleanup_keep, settings.cleanup_keep_media) == (10, 10)
    assert settings.date_format == "%Y-%m-%d-%H%M%S"
    assert settings.lock_timeout == 30.0
    assert (settings.compression, settings.encryption) == (None, None)
    assert not settings.require_signature
    assert settings.gpg_armor
    assert settings.send_email
    assert settings.email_subject_prefix == "[dbbackup] "
    assert not settings.cleanup_keep_filter("anything")


def test_override_settings_has_effect():
    with override_settings(DBBACKUP_CLEANUP_KEEP=3):
        assert (get_settings().cleanup_keep, get_settings().cleanup_keep_media) == (3, 3)
    assert get_settings().cleanup_keep == 10


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("GPG_RECIPIENT", "one", "gpg_recipient", ("one",)),
        ("GPG_RECIPIENT", ["one", "two"], "gpg_recipient", ("one", "two")),
        ("GPG_RECIPIENT", None, "gpg_recipient", ()),
        ("AGE_RECIPIENTS", "age1x", "age_recipients", ("age1x",)),
        ("AGE_IDENTITY_FILE", Path("/k"), "age_identity_file", ("/k",)),
        ("AGE_IDENTITY_FILE", [Path("/k"), "/l"], "age_identity_file", ("/k", "/l")),
        ("SIGNING_KEYS", ["a", "b"], "signing_keys", ("a", "b")),
        ("TMP_DIR", "/scratch", "tmp_dir", Path("/scratch")),
        ("CLEANUP_KEEP_MEDIA", 4, "cleanup_keep_media", 4),
        ("LOCK_TIMEOUT", 5, "lock_timeout", 5.0),
    ],
)
def test_ways_of_writing(settings, name, value, field, expected):
    setattr(settings, f"DBBACKUP_{name}", value)
    assert getattr(get_settings(), field) == expected


def test_callables_by_dotted_path(settings):
    settings.DBBACKUP_CLEANUP_KEEP_FILTER = "tests.test_conf.keep"
    assert get_settings().cleanup_keep_filter("kept")


def test_signing_keys_are_those_of_django(settings):
    settings.SECRET_KEY_FALLBACKS = ["older"]
    assert get_settings().signing_keys == (settings.SECRET_KEY, "older")


def test_error_names_setting_and_value(settings):
    settings.DBBACKUP_CLEANUP_KEEP = "ten"
    with pytest.raises(ConfigurationError, match="DBBACKUP_CLEANUP_KEEP must be a whole number, not 'ten'"):
        get_settings()


def test_passphrase_comes_from_the_environment_each_time(monkeypatch):
    monkeypatch.delenv("DBBACKUP_GPG_PASSPHRASE", raising=False)
    assert passphrase("gpg") is None
    monkeypatch.setenv("DBBACKUP_GPG_PASSPHRASE", "hush")
    assert passphrase("gpg") == "hush"
