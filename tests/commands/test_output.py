"""What the commands print, mail and exit with, seen from outside or as a person would."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time

import django
import pytest
from django.core import mail

from tests.process import manage

SLOW_CODEC = """
import time
from dbbackup.codecs.base import COMPRESSION, Codec
from dbbackup.streams import IteratorReader

class SlowCodec(Codec):
    name, suffix, kind = "slow", ".slow", COMPRESSION

    def encode(self, source):
        return IteratorReader(self._slowly(source))

    def _slowly(self, source):
        with source:
            while chunk := source.read(65536):
                time.sleep(0.5)
                yield chunk
"""


def test_piped_run_prints_the_result_only(shop):
    run = shop.run("dbbackup")
    assert run.err == ""
    assert len(run.out.splitlines()) == 1


def test_quiet_run_prints_nothing(shop):
    for command in ("dbbackup", "listbackups", "verifybackups", "dbrestore"):
        run = shop.run(command, "--quiet", "--noinput")
        assert (run.status, run.out, run.err) == (0, "", "")


def test_every_json_line_is_one_object(shop):
    shop.backup()
    for command in ("dbbackup", "listbackups", "verifybackups", "dbrestore"):
        run = shop.run(command, "--json", "--noinput")
        assert run.status == 0
        assert run.lines


@pytest.mark.parametrize(
    ("values", "sent"),
    [
        ({"ADMINS": ["ops@example.org"]}, ["ops@example.org"]),
        ({"DBBACKUP_ADMINS": [("Ops", "ops@example.org")]}, ["ops@example.org"]),
        ({"DBBACKUP_ADMIN": [("Ops", "ops@example.org")]}, ["ops@example.org"]),
        ({"ADMINS": []}, None),
        ({"ADMINS": ["ops@example.org"], "DBBACKUP_SEND_EMAIL": False}, None),
    ],
)
def test_failure_is_mailed_once_without_secrets(shop, databases, values, sent):
    databases("gone", ENGINE="django.db.backends.sqlite3", NAME="/nosuch/x.sqlite3", PASSWORD="hush-hush")
    databases("gone2", ENGINE="django.db.backends.sqlite3", NAME="/nosuch/y.sqlite3", PASSWORD="hush-hush")
    for name, value in values.items():
        setattr(shop.settings, name, value)
    assert shop.run("dbbackup", "-d", "gone,gone2").status == 1
    assert [message.to for message in mail.outbox] == ([sent] if sent else [])
    if sent:
        message = mail.outbox[0].message().as_string()
        assert "[dbbackup] dbbackup failed on testhost" in message
        assert "/nosuch/x.sqlite3" in message
        assert "/nosuch/y.sqlite3" in message
        assert "hush-hush" not in message
        assert "Traceback" not in message


def test_success_and_wrong_usage_are_not_mailed(shop):
    shop.settings.ADMINS = ["ops@example.org"]
    shop.run("dbbackup")
    assert shop.run("dbbackup", "-d", "nosuch").status == 2
    assert mail.outbox == []


def test_mail_server_that_fails_does_not_hide_the_failure(shop, caplog):
    shop.settings.ADMINS = ["ops@example.org"]
    if django.VERSION >= (6, 1):
        shop.settings.MAILERS = {"default": {"BACKEND": "nosuch.backend"}}
    else:
        shop.settings.EMAIL_BACKEND = "nosuch.backend"
    shop.path.unlink()
    run = shop.run("dbbackup")
    assert "has no file" in run.error
    assert "could not be mailed" in caplog.text


class TestFromOutside:
    def test_exit_statuses(self, project):
        assert manage(project, "dbbackup", "--quiet").returncode == 0
        assert manage(project, "dbbackup", "-d", "nosuch").returncode == 2
        assert manage(project, "dbbackup", "--nosuch").returncode == 2
        done = manage(project, "dbrestore", "--noinput", "-i", "nosuch")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) <= 3

    def test_stdout_and_stdin(self, project):
        done = manage(project, "dbbackup", "-O", "-", "-z", "zstd", text=False)
        assert done.returncode == 0
        assert done.stdout.startswith(b"\x28\xb5\x2f\xfd")
        project.execute("DELETE FROM thing")
        restored = manage(project, "dbrestore", "--noinput", "-I", "-", input=done.stdout, text=False)
        assert restored.returncode == 0, restored.stderr
        assert len(project.rows()) == 3
        for damaged in (done.stdout[:-1], done.stdout + b"x", b""):
            again = manage(project, "dbrestore", "--noinput", "-I", "-", input=damaged, text=False)
            assert again.returncode == 1
            assert len(project.rows()) == 3

    def test_closed_stdout_is_one_clear_line(self, project):
        process = subprocess.Popen(
            project.command("dbbackup", "-O", "-"), env=project.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(60) == 1
        assert b"standard output" in errors
        assert b"Traceback" not in errors
        process.stderr.close()

    def test_progress_on_a_terminal(self, project):
        master, slave = pty.openpty()
        with subprocess.Popen(
            project.command("dbbackup"),
            env={**project.env, "TERM": "xterm", "COLUMNS": "120"},
            stdout=slave,
            stderr=slave,
        ) as process:
            os.close(slave)
            shown = b""
            while True:
                try:
                    data = os.read(master, 65536)
                except OSError:
                    break
                if not data:
                    break
                shown += data
        os.close(master)
        assert process.returncode == 0
        assert b"dumping default" in shown
        assert b"Backed up default" in shown

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_interrupted_run_leaves_nothing(self, project, number):
        project.grow(50_000)
        (project.root / "slow.py").write_text(SLOW_CODEC)
        project.configure('DBBACKUP_CODECS = {"slow": "slow.SlowCodec"}')
        process = subprocess.Popen(
            project.command("dbbackup", "-z", "slow"),
            env=project.env,
            # A shell that runs the tests in the background has them ignore SIGINT, and nohup SIGHUP.
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 30
        while not any(project.backups.glob(".*.partial")) and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        assert "Interrupted" in errors
        assert "Traceback" not in errors
        assert list(project.backups.iterdir()) == []
        assert list(project.tmp.iterdir()) == []

    def test_missing_storage_fails_the_check_and_shows_the_lines(self, project):
        project.configure('del STORAGES["dbbackup"]')
        done = manage(project, "check")
        assert done.returncode == 1
        assert "dbbackup.E003" in done.stderr
        assert 'STORAGES["dbbackup"] = {' in done.stderr


def test_start_up_does_not_import_what_it_does_not_need(project):
    code = (
        "import django, sys; django.setup();"
        "print([m for m in ('rich', 'pyrage', 'isal', 'cryptography') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=project.env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_manifest_of_the_command_is_json(project):
    done = manage(project, "dbbackup", "--json")
    name = json.loads(done.stdout)["name"]
    assert json.loads((project.backups / f"{name}.metadata").read_text())["name"] == name
