from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbbackup.exceptions import ConfigurationError, StreamError
from dbbackup.streams import IteratorReader, Workspace, remove_stale, spool, workspace

OWNER = """
import sys, time
from pathlib import Path
from dbbackup.streams import Workspace
folder = Workspace(Path(sys.argv[1]))
(folder.path / "snapshot").write_bytes(b"secret")
print(folder.path, flush=True)
time.sleep(1000)
"""

BUSY = """
import sys
from pathlib import Path
from dbbackup.streams import workspace
for number in range(300):
    with workspace(Path(sys.argv[1])) as folder:
        (folder / "snapshot").write_bytes(b"secret")
        assert (folder / ".lock").exists()
"""


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Return a process that holds a workspace."""
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def folder_of(owner: subprocess.Popen[str]) -> Path:
    assert owner.stdout is not None
    return Path(owner.stdout.readline().strip())


def test_a_workspace_is_for_its_owner_alone_and_goes() -> None:
    with workspace() as folder:
        assert folder.parent == Path(tempfile.gettempdir())
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "file").write_bytes(b"x")
    assert not folder.exists()


def test_a_workspace_goes_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), workspace(tmp_path):
        raise ValueError("no")
    assert not list(tmp_path.iterdir())


def test_an_interrupt_of_close_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Workspace(tmp_path)
    (folder.path / "snapshot").write_bytes(b"x")
    unlink = Path.unlink

    def interrupted(path: Path) -> None:
        unlink(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", interrupted)
    with pytest.raises(KeyboardInterrupt):
        folder.close()
    assert not list(tmp_path.iterdir())


def test_close_may_come_twice(tmp_path: Path) -> None:
    folder = Workspace(tmp_path)
    folder.close()
    folder.close()
    assert not folder.path.exists()


def test_the_next_workspace_removes_that_of_a_dead_owner(owner: subprocess.Popen[str], tmp_path: Path) -> None:
    left = folder_of(owner)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert (left / "snapshot").exists()
    with workspace(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_a_living_owner_keeps_its_workspace(owner: subprocess.Popen[str], tmp_path: Path) -> None:
    kept = folder_of(owner)
    with workspace(tmp_path):
        assert (kept / "snapshot").exists()


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".lock").touch()
    inside = tmp_path / "tmp"
    inside.mkdir()
    (inside / "dbbackup-abcdefgh").symlink_to(elsewhere)
    (inside / "dbbackup-file1234").touch()
    for name in ("dbbackup-tests-12345678", "dbbackup-", "other-abcdefgh"):
        (inside / name).mkdir()
        (inside / name / ".lock").touch()
    before = sorted(inside.iterdir())
    remove_stale(inside)
    assert sorted(inside.iterdir()) == before
    assert elsewhere.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_stays(tmp_path: Path) -> None:
    foreign = tmp_path / "dbbackup-abcdefgh"
    foreign.mkdir()
    (foreign / ".lock").touch()
    os.chown(foreign, 12345, 12345)
    remove_stale(tmp_path)
    assert foreign.exists()


def test_an_empty_folder_without_a_lock_goes(tmp_path: Path) -> None:
    (tmp_path / "dbbackup-abcdefgh").mkdir()
    remove_stale(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_lock_but_with_content_stays(tmp_path: Path) -> None:
    (tmp_path / "dbbackup-abcdefgh" / "inside").mkdir(parents=True)
    remove_stale(tmp_path)
    assert (tmp_path / "dbbackup-abcdefgh" / "inside").exists()


def test_many_workspaces_and_cleaners_at_once_do_not_meet(tmp_path: Path) -> None:
    busy = [
        subprocess.Popen([sys.executable, "-c", BUSY, str(tmp_path)], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in busy:
        _, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
    assert not list(tmp_path.iterdir())


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "dbbackup-abcdefgh"
    folder.mkdir()
    (tmp_path / "target").touch()
    (folder / ".lock").symlink_to(tmp_path / "target")
    remove_stale(tmp_path)
    assert folder.exists()


def test_a_missing_folder_names_the_setting(tmp_path: Path) -> None:
    for use in (lambda: Workspace(tmp_path / "no"), lambda: spool(IteratorReader([]), tmp_path / "no")):
        with pytest.raises(ConfigurationError, match="DBBACKUP_TMP_DIR"):
            use()
    remove_stale(tmp_path / "no")


def test_spool_is_seekable_and_has_no_name(tmp_path: Path) -> None:
    with IteratorReader([b"abc", b"def"]) as source:
        with spool(source, tmp_path) as spooled:
            assert not list(tmp_path.iterdir())
            assert spooled.read() == b"abcdef"
            spooled.seek(2)
            assert spooled.read(2) == b"cd"
        assert not source.closed


def test_spool_passes_the_error_of_its_source_on(tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield b"x"
        raise OSError("the source")

    with IteratorReader(failing()) as source, pytest.raises(OSError, match="the source"):
        spool(source, tmp_path)


def test_spool_into_a_full_disk_says_where() -> None:
    # A limit on the size of files fails a write just as a full disk does, and needs no mount.
    script = (
        "import resource, signal; from dbbackup.streams import *; from pathlib import Path\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "spool(IteratorReader([bytes(1 << 20), b'more']), Path('/tmp'))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "StreamError: Cannot write a temporary file in /tmp: File too large" in result.stderr
    assert "DBBACKUP_TMP_DIR" in result.stderr


def test_a_folder_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    # Nobody, not even root, can make a folder in /proc.
    with pytest.raises(StreamError, match="/proc/self"):
        Workspace(Path("/proc/self"))
