from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dbbackup.exceptions import ProgramError, ProgramNotFound
from dbbackup.streams import HashingReader, IteratorReader, ProgramReader, chunks, copy, run_program

MIB = 1 << 20
# More than any pipe holds.
MUCH = bytes(range(256)) * (5 * MIB // 256)
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 1; done"


def count_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def children() -> set[str]:
    """Return the numbers of this process's children, of zombies as well."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        # A thread that was joined a moment ago may still be listed.
        with suppress(FileNotFoundError, ProcessLookupError):
            found.update((task / "children").read_text().split())
    return found


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Fail a test that leaves a thread, an open descriptor or a zombie."""
    threads = threading.active_count()
    descriptors = count_descriptors()
    processes = children()
    yield
    assert threading.active_count() <= threads
    assert count_descriptors() <= descriptors
    assert children() <= processes


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give programs less time to end by themselves, for tests in which they never do."""
    monkeypatch.setattr("dbbackup.streams.program.GRACE", 0.2)


def sh(script: str, source: io.BufferedIOBase | None = None) -> ProgramReader:
    return ProgramReader(["sh", "-c", script], source=source)  # type: ignore[arg-type]


def failing(error: BaseException, first: bytes = MUCH) -> IteratorReader:
    def pieces() -> Iterator[bytes]:
        yield first
        raise error

    return IteratorReader(pieces())


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(MIB)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(pid: int) -> bool:
    """Return whether a process ends; the signal that was sent to it takes its time."""
    for _ in range(1000):
        if not is_running(pid):
            return True
        time.sleep(0.01)
    return False


class TestOutput:
    def test_is_read_to_its_end(self) -> None:
        with ProgramReader(["echo", "some text"]) as reader:
            assert reader.read() == b"some text\n"
            assert reader.read() == b""

    def test_stdin_is_empty_without_a_source(self) -> None:
        with ProgramReader(["cat"]) as reader:
            assert reader.read() == b""

    def test_environment_and_descriptors_are_handed_over(self) -> None:
        reading, writing = os.pipe()
        os.write(writing, b"by descriptor")
        os.close(writing)
        with os.fdopen(reading):
            script = f'echo "$WORD"; cat /dev/fd/{reading}'
            with ProgramReader(["/bin/sh", "-c", script], env={"WORD": "by name"}, pass_fds=[reading]) as reader:
                assert reader.read() == b"by name\nby descriptor"

    def test_a_failure_replaces_the_end(self) -> None:
        with sh("echo out; echo first >&2; echo last words >&2; exit 3") as reader:
            assert reader.read(4) == b"out\n"
            for _ in range(2):
                with pytest.raises(ProgramError, match="sh exited with status 3: first\nlast words") as caught:
                    reader.read(1)
                assert caught.value.returncode == 3
                assert caught.value.stderr == "first\nlast words\n"

    def test_a_signal_is_named(self) -> None:
        with sh("kill -9 $$") as reader, pytest.raises(ProgramError, match=r"sh was ended by signal 9\."):
            reader.read()

    def test_secrets_are_hidden(self) -> None:
        args = ["sh", "-c", "echo 'no such password: geheim' >&2; exit 1"]
        with ProgramReader(args, secrets=["geheim", ""]) as reader, pytest.raises(ProgramError) as caught:
            reader.read()
        assert "no such password: ***" in str(caught.value)
        assert "geheim" not in caught.value.stderr + reader.stderr_tail

    def test_secrets_are_hidden_where_the_tail_begins(self) -> None:
        secret = "0123456789"
        # However the tail is cut, it begins within the secret.
        for offset in range(len(secret)):
            script = f"yes {secret} | tr -d '\\n' | head -c {100_000 + offset} >&2"
            with ProgramReader(["sh", "-c", script], secrets=[secret]) as reader:
                reader.read()
            assert not set(reader.stderr_tail.rstrip(secret)) - {"*"}
            assert not set(reader.stderr_tail[: -len(secret)]) & set(secret)

    def test_a_missing_program_is_named(self) -> None:
        source = io.BytesIO(b"x")
        with pytest.raises(ProgramNotFound, match="'no-such-program' was not found"):
            ProgramReader(["no-such-program"], source=source)
        assert not source.closed

    def test_a_file_that_cannot_be_run_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ProgramNotFound, match="cannot be run: Permission denied"):
            ProgramReader([str(tmp_path)])

    def test_the_status_counts_also_when_stdout_was_closed_before(self) -> None:
        with (
            sh("exec >&-; sleep 0.2; echo late >&2; exec 2>&-; sleep 0.2; exit 4") as reader,
            pytest.raises(ProgramError, match="status 4: late"),
        ):
            reader.read()

    def test_a_child_that_keeps_stderr_open_holds_nothing_up(self) -> None:
        with sh("sleep 1000 >/dev/null & echo $!; echo why >&2; exit 5") as reader:
            pid = int(reader.readline())
            with pytest.raises(ProgramError, match="status 5: why"):
                reader.read()
        os.kill(pid, 9)

    def test_a_status_that_somebody_else_took_is_an_error(self) -> None:
        script = (
            "import signal; from dbbackup.streams import *\n"
            "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
            "with ProgramReader(['sh', '-c', 'echo x']) as reader: reader.read()\n"
        )
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert "The exit status of sh is lost" in result.stderr
        assert result.returncode == 1


class TestErrorOutput:
    def test_a_hundred_megabytes_neither_block_nor_stay(self) -> None:
        with sh("yes warning | head -c 100000000 >&2; echo done") as reader:
            assert reader.read() == b"done\n"
            assert len(reader.stderr_tail) == 64 * 1024
            assert reader.stderr_tail.endswith("warning\nwarning\n")

    def test_does_not_need_to_be_text(self) -> None:
        with sh(r"printf '\377\n' >&2") as reader:
            reader.read()
            assert reader.stderr_tail == "\ufffd\n"

    def test_an_error_quotes_three_short_lines(self) -> None:
        with (
            sh("seq 1000 | tr '\\n' ' ' >&2; echo; seq 5 >&2; echo >&2; exit 1") as reader,
            pytest.raises(ProgramError) as caught,
        ):
            reader.read()
        assert str(caught.value) == "sh exited with status 1: 3\n4\n5"


class TestInput:
    def test_is_given_whole(self) -> None:
        source = io.BytesIO(MUCH)
        with ProgramReader(["cat"], source=source) as reader:
            assert reader.read() == MUCH
        assert source.closed

    def test_none_is_a_good_end(self) -> None:
        with ProgramReader(["cat"], source=io.BytesIO()) as reader:
            assert reader.read() == b""

    @pytest.mark.parametrize("size", [2, 70_000, len(MUCH)])
    @pytest.mark.parametrize("script", ["exit 0", "exec <&-; exit 0", "head -c 1 >/dev/null; exec <&-; sleep 0.1"])
    def test_that_was_not_taken_is_an_error(self, size: int, script: str) -> None:
        with (
            sh(script, io.BytesIO(MUCH[:size])) as reader,
            pytest.raises(ProgramError, match="sh ended before it had taken all its input") as caught,
        ):
            reader.read()
        assert caught.value.returncode == 0

    def test_the_error_of_the_source_comes_first(self) -> None:
        error = ValueError("upstream")
        with (
            ProgramReader(["cat"], source=failing(error)) as reader,
            pytest.raises(ValueError, match="upstream") as caught,
        ):
            reader.read()
        assert caught.value is error

    def test_a_program_may_leave_some_of_its_input_where_that_is_said(self) -> None:
        with ProgramReader(["head", "-c", "5"], source=io.BytesIO(MUCH), whole_input=False) as reader:
            assert reader.read() == MUCH[:5]

    def test_a_failed_source_never_ends_the_input(self, tmp_path: Path) -> None:
        committed = tmp_path / "committed"
        script = f"cat >/dev/null; touch {committed}"
        with sh(script, failing(ValueError("upstream"))) as reader, pytest.raises(ValueError, match="upstream"):
            reader.read()
        assert not committed.exists()

    @pytest.mark.usefixtures("impatient")
    def test_a_failed_source_ends_a_program_that_does_not_want_to(self) -> None:
        with (
            sh(STUBBORN, failing(ValueError("upstream"), b"x")) as reader,
            pytest.raises(ValueError, match="upstream"),
        ):
            reader.read()

    def test_a_failed_program_comes_before_what_it_does_to_the_source(self) -> None:
        with (
            ProgramReader(["sleep", "1000"]) as hanging,
            sh("echo wrong >&2; exit 2", hanging) as reader,
            pytest.raises(ProgramError, match=r"sh .*: wrong"),
        ):
            reader.read()

    def test_an_endless_source_ends_with_the_program(self) -> None:
        with sh("exit 7", IteratorReader(endless())) as reader, pytest.raises(ProgramError, match="status 7"):
            reader.read()


class TestEarlyClose:
    def test_ends_a_program_that_never_ends(self) -> None:
        reader = sh("echo $$; exec sleep 1000")
        pid = int(reader.readline())
        reader.close()
        assert ends(pid)

    def test_ends_the_children_of_a_shell(self) -> None:
        reader = sh("sleep 1000 & echo $!; wait")
        pid = int(reader.readline())
        reader.close()
        assert ends(pid)

    @pytest.mark.usefixtures("impatient")
    def test_kills_a_program_that_does_not_want_to_end(self) -> None:
        reader = sh(STUBBORN)
        assert reader.readline() == b"ready\n"
        reader.close()

    def test_leaves_a_pipe_that_is_full_in_both_directions(self) -> None:
        reader = ProgramReader(["cat"], source=IteratorReader(endless()))
        assert reader.read(1) == b"\0"
        reader.close()

    def test_ends_a_source_that_waits_for_its_program(self) -> None:
        # The hash in between knows nothing of programs.
        source = HashingReader(sh("echo ready; exec sleep 1000"))
        reader = ProgramReader(["cat"], source=source)
        assert reader.readline() == b"ready\n"
        reader.close()
        assert source.closed

    @pytest.mark.usefixtures("impatient")
    def test_kills_a_source_that_does_not_want_to_end(self) -> None:
        reader = ProgramReader(["cat"], source=sh(STUBBORN))
        assert reader.readline() == b"ready\n"
        reader.close()

    def test_after_the_end_spares_what_the_program_left_running(self) -> None:
        with sh("sleep 1000 >/dev/null 2>&1 & echo $!") as reader:
            pid = int(reader.read())
        assert is_running(pid)
        os.kill(pid, 9)

    def test_happens_by_itself_when_nobody_holds_the_reader(self) -> None:
        # The fixture sees what is left.
        ProgramReader(["sleep", "1000"])


class TestChain:
    SIZE = 1 << 30
    STAGES = 3

    def test_a_gigabyte_through_three_programs_in_constant_memory(self) -> None:
        # In a process of its own: its peak is not that of the tests before.
        script = (
            "from dbbackup.streams import *\n"
            "def peak():\n"
            "    lines = open('/proc/self/status').read().splitlines()\n"
            "    return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM'))\n"
            "idle = peak()\n"
            f"stream = ProgramReader(['head', '-c', '{self.SIZE}', '/dev/zero'])\n"
            f"for _ in range({self.STAGES} - 1): stream = ProgramReader(['cat'], source=HashingReader(stream))\n"
            "with stream: size = copy(stream, lambda chunk: None)\n"
            "print(size, peak() - idle)\n"
        )
        size, kibibytes = map(int, run_program([sys.executable, "-W", "ignore", "-c", script]).split())
        assert size == self.SIZE
        assert kibibytes < 16 * 1024

    @pytest.mark.parametrize("stage", range(STAGES))
    def test_the_stage_that_dies_is_the_one_that_is_named(self, stage: int) -> None:
        scripts = ["yes | head -c 5000000", "cat", "cat"]
        scripts[stage] = f"head -c 3000000 {'/dev/zero' if stage == 0 else ''}; echo stage {stage} >&2; exit 9"
        stream = sh(scripts[0])
        for script in scripts[1:]:
            stream = sh(script, stream)
        with stream, pytest.raises(ProgramError, match=f"status 9: stage {stage}"):
            copy(stream, lambda _: None)

    @pytest.mark.parametrize("stage", range(STAGES))
    def test_a_stage_that_never_ends_is_ended(self, stage: int) -> None:
        scripts = ["yes | head -c 5000000", "cat", "cat"]
        scripts[stage] = "exec sleep 1000"
        stream = sh(scripts[0])
        for script in scripts[1:]:
            stream = sh(script, stream)
        stream.close()


class TestRunProgram:
    def test_returns_what_was_printed(self) -> None:
        assert run_program(["cat"], source=io.BytesIO(b"text")) == b"text"

    def test_keeps_the_last_mebibyte(self) -> None:
        assert run_program(["sh", "-c", "head -c 5000000 /dev/zero; echo end"]) == bytes(MIB - 4) + b"end\n"

    def test_raises_like_the_stream(self) -> None:
        with pytest.raises(ProgramError, match="status 1"):
            run_program(["false"])


def test_chunks_are_as_large_as_the_pipe() -> None:
    with ProgramReader(["head", "-c", str(64 * MIB), "/dev/zero"]) as reader:
        sizes = [len(chunk) for chunk in chunks(reader)]
    assert sum(sizes) == 64 * MIB
    assert max(sizes) > 64 * 1024
