"""The programs that people open such files with."""

import errno
import os
import sqlite3
import stat
import zipfile
from pathlib import Path

import pytest

from empirical_fs.sandbox.samples import write_samples
from tests.conftest import Mount
from tests.models.calls.comparison import ext4_image, image_mounted, why_not
from tests.models.calls.system_calls import faccessat
from tests.support.harness import Sandbox, run

NOBODY = 65534

_COPIES = """
set -e
cd "$2"
cp "$1"/notes.txt plain && cp "$1"/notes.txt plain && echo more >> plain
cp -a "$1" copy && cp -a "$1"/. copy && echo more >> copy/notes.txt && rm copy/notes.txt && rm -rf copy
rsync -a "$1"/ synced && echo more >> synced/notes.txt && rsync -a "$1"/ synced && rm -rf synced
"""


@pytest.fixture
def samples(sandbox: Sandbox) -> Sandbox:
    write_samples(sandbox.folder)
    return sandbox


def test_libreoffice_converts_a_document(samples: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """LibreOffice opens a Word document of the mount and makes a PDF with its words."""
    with mount() as mounted:
        profile = f"-env:UserInstallation=file://{tmp_path}/profile"
        convert = ["--headless", "--convert-to", "pdf", "--outdir", str(tmp_path)]
        run("soffice", profile, *convert, mounted / "checkout-flow.docx", timeout=120)
    assert "Checkout flow" in run("pdftotext", tmp_path / "checkout-flow.pdf", "-").stdout


def test_ffmpeg_probes_and_seeks(sandbox: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """ffprobe reads the length of a video of the mount, and ffmpeg takes a picture from its middle."""
    source = ["-f", "lavfi", "-i", "testsrc=duration=3:size=320x180"]
    run("ffmpeg", "-v", "error", *source, sandbox.folder / "clip.mp4")
    with mount() as mounted:
        entries = ["-show_entries", "format=duration", "-of", "csv=p=0"]
        assert float(run("ffprobe", "-v", "error", *entries, mounted / "clip.mp4").stdout) == pytest.approx(3)
        frame = tmp_path / "frame.png"
        run("ffmpeg", "-v", "error", "-ss", "2", "-i", mounted / "clip.mp4", "-frames:v", "1", frame)
        assert "320 x 180" in run("file", frame).stdout


def test_archives(samples: Sandbox, mount: Mount) -> None:
    """unzip and Python find an archive of the mount whole."""
    with mount() as mounted:
        assert "No errors detected" in run("unzip", "-t", mounted / "fixtures.zip").stdout
        with zipfile.ZipFile(mounted / "fixtures.zip") as archive:
            assert archive.testzip() is None


def test_a_database_is_read(sandbox: Sandbox, mount: Mount) -> None:
    """SQLite opens a database of the mount read-only and finds it whole."""
    with sqlite3.connect(sandbox.folder / "data.db") as database:
        database.execute("create table numbers (number)")
        database.executemany("insert into numbers values (?)", ([number] for number in range(20_000)))
    database.close()
    with mount() as mounted:
        uri = f"file:{mounted / 'data.db'}?mode=ro"
        query = "pragma integrity_check; select sum(number) from numbers"
        assert run("sqlite3", uri, query).stdout.split() == ["ok", str(sum(range(20_000)))]


def test_walkers(samples: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """cp -a, tar and grep -r walk the mount, and what they copy has the dates of the listing."""
    with mount() as mounted:
        run("cp", "-a", mounted.path, tmp_path / "copy")
        for path in mounted.path.iterdir():
            copied = tmp_path / "copy" / path.name
            assert copied.stat().st_mtime_ns == path.stat().st_mtime_ns
            assert copied.read_bytes() == path.read_bytes()
        run("tar", "-C", mounted.path, "-cf", tmp_path / "all.tar", ".")
        names = run("tar", "-tf", tmp_path / "all.tar").stdout
        assert len(names.splitlines()) == len(mounted.names()) + 1
        assert "Empirical.url" in run("grep", "-rl", "InternetShortcut", mounted.path).stdout


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes another user")
def test_copies_are_copies(sandbox: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """Who copies a file by whatever program can overwrite, extend and delete the copy; the mount is not."""
    sandbox.put("notes.txt", b"some notes")
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, NOBODY, NOBODY)
    for each in (tmp_path, *tmp_path.parents):
        each.chmod(stat.S_IMODE(each.stat().st_mode) | 0o011)
    with mount("-o", f"allow_other,uid={NOBODY},gid={NOBODY}") as mounted:
        as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        run(*as_nobody, "sh", "-c", _COPIES, "sh", mounted.path, own)
        for path in (mounted.path, mounted / "notes.txt"):
            with pytest.raises(OSError, match=rf"Errno {errno.EROFS}\b"):
                faccessat(os.W_OK, 0, os.fsencode(path))


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_dates_that_a_copy_cannot_hold(sandbox: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """A second `rsync -a` to ext4 copies nothing, though the API names dates of year 1 and 9999."""
    dates = {"old.txt": "0001-02-01T00:00:00Z", "new.txt": "9999-12-31T23:59:59.999999Z"}
    for name in dates:
        sandbox.put(name, b"content")
    sandbox.override({name: {"updated_at": date} for name, date in dates.items()})
    with (
        mount() as mounted,
        ext4_image(tmp_path) as (image, path),
        image_mounted(image, path, "loop"),
    ):
        shown = [(mounted / name).stat().st_mtime for name in dates]
        assert shown == [-(2**31), 2**34 - 2**31 - 1]
        synchronise = ("rsync", "-a", "--itemize-changes", f"{mounted.path}/", f"{path}/")
        assert "old.txt" in run(*synchronise).stdout
        assert run(*synchronise).stdout == ""
