"""What is described here of libfuse's structures is what its headers say, where these are installed."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from empirical_fs.errors import SetupError
from empirical_fs.fuse.library import PASSTHROUGH as PASSTHROUGH_CAPABILITY
from empirical_fs.fuse.library import Library
from empirical_fs.fuse.loader import load_library
from empirical_fs.fuse.session import _BACKING_CLOSE, _BACKING_OPEN
from empirical_fs.fuse.structures import BACKING_ID_AT, Arguments, Context, Forget, Piece

PROGRAM = """
#define FUSE_USE_VERSION {version}
#define _FILE_OFFSET_BITS 64
#include <stddef.h>
#include <stdio.h>
#include <sys/uio.h>
#include <fuse_lowlevel.h>
int main(void) {{
    printf("%zu %zu %zu %zu %zu %zu %zu %zu %zu %zu\\n",
        sizeof(struct fuse_lowlevel_ops), sizeof(struct fuse_file_info),
        sizeof(struct fuse_entry_param), offsetof(struct fuse_entry_param, entry_timeout),
        offsetof(struct fuse_file_info, fh), sizeof(struct fuse_forget_data), sizeof(struct iovec),
        sizeof(struct fuse_args), offsetof(struct fuse_ctx, pid), offsetof(struct fuse_lowlevel_ops, ioctl));
    return 0;
}}
"""
PASSTHROUGH = """
#define FUSE_USE_VERSION 317
#define _FILE_OFFSET_BITS 64
#include <stddef.h>
#include <stdio.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <sys/ioctl.h>
int main(void) {
    printf("%zu %u %zu %zu %lu %lu\\n", offsetof(struct fuse_file_info, backing_id), FUSE_CAP_PASSTHROUGH,
        offsetof(struct fuse_conn_info, max_backing_stack_depth), offsetof(struct fuse_conn_info, want_ext),
        (unsigned long)FUSE_DEV_IOC_BACKING_OPEN, (unsigned long)FUSE_DEV_IOC_BACKING_CLOSE);
    return 0;
}
"""
HEADERS = {"2": ("/usr/include/fuse", 29), "3": ("/usr/include/fuse3", 35)}


def loaded(number: str, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("EMPIRICAL_FS_LIBFUSE", number)
    try:
        return load_library()
    except SetupError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("number", ["2", "3"])
def test_sizes(number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every structure is as large as the compiler has it, and what is read in it stands where it should."""
    headers, version = HEADERS[number]
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not Path(headers, "fuse_lowlevel.h").exists():
        pytest.skip(f"there is no compiler, or no {headers}")
    library = loaded(number, monkeypatch)
    source, program = tmp_path / "sizes.c", tmp_path / "sizes"
    source.write_text(PROGRAM.format(version=version))
    subprocess.run([compiler, f"-I{headers}", source, "-o", program], check=True)
    said = subprocess.run([program], check=True, capture_output=True, text=True, env=os.environ)
    operations, file_info, *others = map(int, said.stdout.split())
    described: list[Any] = [
        ctypes.sizeof(library.entry),
        library.entry.entry_seconds.offset,
        library.file_info.fh.offset,
        ctypes.sizeof(Forget),
        ctypes.sizeof(Piece),
        ctypes.sizeof(Arguments),
        Context.pid.offset,
        library.operations.ioctl.offset,
    ]
    assert described == others
    # Newer ones of libfuse 3 have more at the end, and are told how much we know.
    assert ctypes.sizeof(library.operations) <= operations
    # It is read beyond what older ones had.
    assert ctypes.sizeof(library.file_info) >= file_info


def test_what_passthrough_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers and places are those of the headers, where these are new enough."""
    compiler, folder = shutil.which("cc") or shutil.which("gcc"), "/usr/include/fuse3"
    library = loaded("3", monkeypatch)
    if compiler is None or not library.has_passthrough or not Path(folder, "fuse_lowlevel.h").exists():
        pytest.skip(f"there is no compiler, no libfuse 3.17, or no {folder}")
    source, program = tmp_path / "passthrough.c", tmp_path / "passthrough"
    source.write_text(PASSTHROUGH)
    subprocess.run([compiler, f"-I{folder}", source, "-o", program], check=True)
    said = subprocess.run([program], check=True, capture_output=True, text=True)
    connection = library._connection
    assert list(map(int, said.stdout.split())) == [
        BACKING_ID_AT,
        PASSTHROUGH_CAPABILITY,
        connection.max_backing_stack_depth.offset,
        connection.want_ext.offset,
        _BACKING_OPEN,
        _BACKING_CLOSE,
    ]


@pytest.mark.parametrize("number", ["2", "3"])
def test_the_version(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the one that was chosen, and only libfuse 3 has listings with attributes."""
    library = loaded(number, monkeypatch)
    assert library.major == int(number)
    assert library.has_readdirplus == library.serves("readdirplus") == (number == "3")
    assert not library.serves("nonsense")
