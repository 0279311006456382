"""Digests of files: equal content is an equal digest, and what has not changed is not read again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from discomfort.context.values import digest as digests
from discomfort.context.values import xxh3
from discomfort.input_files import fingerprint_file, fingerprints
from discomfort.input_files.fingerprint_file import FingerprintFile
from discomfort.input_files.fingerprints import Fingerprints, FingerprintStopped

RED, GREEN = b"red  " * 100, b"green" * 100


class Reads:
    """Counts how often a file is read."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        digest = fingerprints._digest

        def counted(place: Path, size: int, stop: fingerprints.Stop) -> str:
            self.count += 1
            return digest(place, size, stop)

        patch.setattr(fingerprints, "_digest", counted)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every file count as one that was changed long ago."""
    monkeypatch.setattr(fingerprints, "YOUNG_SECONDS", -1e9)


def wait_until_settled(path: Path) -> None:
    while not fingerprints._is_settled(path.stat()):
        time.sleep(0.05)


def keep_times(path: Path, content: bytes) -> None:
    """Write other content and give the file its old time of writing, as an unpacker or `cp -p` does."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.usefixtures("old")
def test_an_unchanged_file_is_not_read_again(tmp_path: Path, reads: Reads) -> None:
    path = tmp_path / "a"
    path.write_bytes(RED)
    store = Fingerprints()
    first = store.read(path)
    assert (store.read(path), store.known(path), reads.count) == (first, first, 1)


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no time of the last change")
@pytest.mark.usefixtures("old")
def test_equal_size_and_equal_time_of_writing_are_not_proof(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(RED)
    store = Fingerprints()
    before = store.read(path)
    time.sleep(0.05)  # the clock of the file system ticks
    keep_times(path, GREEN)
    after = store.read(path)
    assert path.stat().st_size == len(RED)
    assert before.content != after.content
    assert before.version != after.version


@pytest.mark.usefixtures("old")
def test_a_touched_file_has_the_same_content_in_another_version(tmp_path: Path, reads: Reads) -> None:
    path = tmp_path / "a"
    path.write_bytes(RED)
    store = Fingerprints()
    before = store.read(path)
    time.sleep(0.05)
    os.utime(path)
    after = store.read(path)
    assert (after.content, reads.count) == (before.content, 2)
    assert after.version != before.version


def test_a_file_changed_within_two_seconds_is_read_each_time(tmp_path: Path, reads: Reads) -> None:
    path = tmp_path / "a"
    path.write_bytes(RED)
    store = Fingerprints()
    assert store.known(path) is None
    first = store.read(path)
    assert (store.read(path).content, reads.count) == (first.content, 2)
    wait_until_settled(path)
    assert store.read(path).steady
    assert store.read(path).content == first.content
    assert reads.count == 3


def test_a_file_changed_this_very_moment_may_change_unnoticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(RED)
    monkeypatch.setattr(fingerprints, "TICK_SECONDS", 1e9)
    assert not Fingerprints().read(path).steady
    monkeypatch.setattr(fingerprints, "TICK_SECONDS", 0)
    path.write_bytes(RED)
    os.utime(path, ns=(5, 1_000_000_001))
    assert Fingerprints().read(path).steady is (path.stat().st_ctime_ns % 10_000_000 != 0)


def test_a_file_from_the_future_is_read_each_time(
    tmp_path: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(RED)
    monkeypatch.setattr("time.time_ns", lambda: path.stat().st_ctime_ns - 10**12)
    store = Fingerprints()
    assert not store.read(path).steady
    store.read(path)
    assert reads.count == 2


def test_equal_content_has_an_equal_digest_wherever_it_lies(tmp_path: Path) -> None:
    content = os.urandom((16 << 20) + 5)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").write_bytes(content)
    (tmp_path / "c").write_bytes(content[:-1])
    a, b, c = (Fingerprints().read(tmp_path / name).content for name in "abc")
    assert a == b != c


@pytest.mark.parametrize(
    ("content", "digest"),
    [
        (b"", "d1-ab82ffecc2a2fe177f717e54a531be42"),
        (b"discomfort", "d1-a6e05b3e006c574bb9b0c87bf75eeba8"),
        (bytes(range(256)) * 9000, "d1-64b135da8723e86894789f62b42bc668"),
    ],
)
def test_the_digest_is_the_same_everywhere(
    tmp_path: Path, content: bytes, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(content)
    assert Fingerprints().read(tmp_path / "a").content == digest
    monkeypatch.setattr(digests, "_hasher", (xxh3.digests, 64))  # where the package xxhash is missing
    assert Fingerprints().read(tmp_path / "a").content == digest


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    store = Fingerprints()
    missing = store.read(tmp_path / "a")
    assert store.known(tmp_path / "a") == missing
    assert missing.steady
    (tmp_path / "a").write_bytes(b"")
    assert store.read(tmp_path / "a").content != missing.content


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(RED)
    digest, contents = fingerprints._digest, [GREEN, RED + GREEN]

    def disturbed(place: Path, size: int, stop: fingerprints.Stop) -> str:
        found = digest(place, size, stop)
        if contents:
            path.write_bytes(contents.pop())
        return found

    monkeypatch.setattr(fingerprints, "_digest", disturbed)
    found = Fingerprints().read(path)
    assert path.read_bytes() == GREEN
    assert found.content == Fingerprints().read(path).content
    contents[:] = [RED + bytes([number]) * number for number in range(9)]
    with pytest.raises(OSError, match="changes while it is read"):
        Fingerprints().read(path)


def test_reading_can_be_given_up(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(RED)
    with pytest.raises(FingerprintStopped):
        Fingerprints().read(tmp_path / "a", lambda: True)


def test_a_folder_is_what_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "weights").write_bytes(RED)
    seen = []
    for change in (
        lambda: None,
        lambda: (folder / "unet" / "weights").write_bytes(GREEN),
        lambda: (folder / "more").write_bytes(RED),
        lambda: (folder / "more").rename(folder / "other"),
        lambda: (folder / "other").unlink(),
    ):
        change()
        seen.append(Fingerprints().read(folder).content)
    assert len(set(seen)) == 4
    assert seen[1] == seen[4]


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "MAX_FOLDER_FILES", 2)
    for name in "abc":
        (tmp_path / name).touch()
    with pytest.raises(OSError, match="more than 2 files"):
        Fingerprints().read(tmp_path)


@pytest.mark.usefixtures("old")
def test_without_a_time_of_change_small_files_are_read_each_time(
    tmp_path: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprints, "HAS_CHANGE_TIME", False)
    monkeypatch.setattr(fingerprints, "SMALL_BYTES", 1000)
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(RED)
    large.write_bytes(os.urandom(5 << 20))
    store = Fingerprints()
    first = store.read(small)
    keep_times(small, GREEN)
    assert store.read(small).content != first.content
    store.read(large)
    assert reads.count == 3
    assert store.read(large) == store.known(large)
    assert reads.count == 3


@pytest.mark.usefixtures("old")
def test_without_a_time_of_change_large_files_are_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(5 << 20))
    plain = path.stat()
    monkeypatch.setattr(fingerprints, "HAS_CHANGE_TIME", False)
    monkeypatch.setattr(fingerprints, "SMALL_BYTES", 1000)
    store = Fingerprints()
    first = store.read(path)
    keep_times(path, bytes((5 << 20) - 1) + b"1")
    assert path.stat().st_mtime_ns == plain.st_mtime_ns
    assert store.read(path).content != first.content


@pytest.mark.usefixtures("old")
def test_other_programs_of_the_user_do_not_read_it_again(tmp_path: Path, reads: Reads) -> None:
    path = tmp_path / "a"
    path.write_bytes(RED)
    kept = tmp_path / "cache" / "fingerprints"
    first = Fingerprints(FingerprintFile(kept)).read(path)
    second = Fingerprints(FingerprintFile(kept))
    assert (second.known(path), second.read(path), reads.count) == (first, first, 1)


def test_a_line_that_another_program_adds_later_is_found(tmp_path: Path) -> None:
    one, other = FingerprintFile(tmp_path / "f"), FingerprintFile(tmp_path / "f")
    assert one.find("a") is None
    other.add("a", "x")
    assert one.find("a") == "x"


@pytest.mark.parametrize("damage", [b"", b"\x00" * 300, b"\xff\xfe", b"1 a y 0000\n", b"\n\n1 a"])
def test_what_is_not_whole_is_not_believed(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "f"
    FingerprintFile(path).add("a", "x")
    FingerprintFile(path).add("b", "y")
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        path.write_bytes(content[:position] + damage + content[position + len(damage) :])
        found = FingerprintFile(path)
        assert found.find("a") in (None, "x")
        assert found.find("b") in (None, "y")
        found.add("c", "z")
        assert FingerprintFile(path).find("c") == "z"


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    FingerprintFile(path).add("key", "text")
    content = path.read_bytes()
    for position in range(1, len(content) - 1):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[position] ^= 1 << bit
            path.write_bytes(flipped)
            assert FingerprintFile(path).find("key") is None


def test_the_file_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint_file, "MAX_BYTES", 4000)
    monkeypatch.setattr(fingerprint_file, "KEPT_LINES", 40)
    kept = FingerprintFile(tmp_path / "f")
    for number in range(500):
        kept.add(f"key-{number}", "x" * 10)
        assert (tmp_path / "f").stat().st_size <= 4100
    again = FingerprintFile(tmp_path / "f")
    assert again.find("key-499") == "x" * 10
    assert again.find("key-1") is None
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of Windows are others")
def test_what_others_may_write_is_not_believed(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    FingerprintFile(folder / "f").add("a", "x")
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    assert FingerprintFile(folder / "f").find("a") is None
    folder.chmod(0o700)
    assert FingerprintFile(folder / "f").find("a") == "x"
    (folder / "f").chmod(0o666)
    assert FingerprintFile(folder / "f").find("a") is None


def test_a_folder_that_cannot_be_written_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = FingerprintFile(tmp_path / "file" / "f")
    kept.add("a", "x")
    assert kept.find("a") == "x"


def test_many_threads_and_processes_add_at_once(tmp_path: Path) -> None:
    """Every line of writers that run side by side, and are killed, is whole or not there."""
    path = tmp_path / "f"
    program = (
        "import sys; from pathlib import Path; from discomfort.input_files.fingerprint_file import FingerprintFile\n"
        "kept = FingerprintFile(Path(sys.argv[1]))\n"
        "number = 0\n"
        "while number < int(sys.argv[3]):\n"
        "    kept.add(f'{sys.argv[2]}-{number}', f'{sys.argv[2]}-{number}'); number += 1\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(path), str(index), "100000" if index == 3 else "200"])
        for index in range(4)
    ]
    kept = FingerprintFile(path)

    def add(name: str) -> None:
        for number in range(50):
            kept.add(f"{name}-{number}", f"{name}-{number}")

    threads = [threading.Thread(target=add, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in started[:3]:
        assert process.wait() == 0
    started[3].kill()
    started[3].wait()
    found = FingerprintFile(path)
    found.find("")
    assert found._lines
    assert all(key == text for key, text in found._lines.items())


@pytest.mark.skipif(os.name == "nt", reason="Windows does not fork")
def test_a_forked_process_shares_nothing(tmp_path: Path) -> None:
    first = fingerprints.fingerprints_of_user()
    child = os.fork()
    if child == 0:
        os._exit(0 if fingerprints.fingerprints_of_user() is not first else 1)
    assert os.waitpid(child, 0)[1] == 0
