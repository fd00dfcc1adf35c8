"""What the benchmark reads of processes, whatever others have named theirs."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.bench.mounts import Mount


def test_a_program_whose_name_is_not_utf8(tmp_path: Path) -> None:
    program = tmp_path / os.fsdecode(b"caf\xe9")
    program.symlink_to(shutil.which("cat") or "")
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"?")
        process.stdin.flush()
        assert process.stdout.read(1) == b"?"
        mount = Mount(tmp_path, lambda: [process.pid])
        assert mount.cpu_seconds() >= 0
        assert mount.peak_mib() > 0
        process.stdin.close()
