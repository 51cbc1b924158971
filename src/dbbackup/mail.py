"""The mail to the admins when a run failed: which operation, where, and why; nothing secret."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.core.mail import EmailMessage

from dbbackup.conf import get_settings
from dbbackup.exceptions import ConfigurationError

logger = logging.getLogger("dbbackup")


def report_failure(command: str, errors: Sequence[str]) -> None:
    """Send one mail that holds the error lines of a run; a mail that cannot be sent is only logged.

    Nothing is sent without DBBACKUP_SEND_EMAIL or without anybody to send it to.
    """
    try:
        settings = get_settings()
    except ConfigurationError:
        # The failure itself then says which setting is wrong.
        return
    if not settings.send_email or not settings.admins:
        return
    message = EmailMessage(
        subject=f"{settings.email_subject_prefix}{command} failed on {settings.hostname}",
        body="\n".join([f"`manage.py {command}` failed on {settings.hostname}:", "", *errors]),
        from_email=settings.server_email,
        to=list(settings.admins),
    )
    try:
        message.send()
    except Exception as exc:  # noqa: BLE001 - a mail backend may raise anything
        # The failure that the mail is about is the one that counts, so a mail server that fails too cannot hide it.
        logger.warning("The failure could not be mailed to the admins: %s: %s", type(exc).__name__, exc)
