"""The demo, without its installing: what it prints is enough to try further commands in another shell."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from tests.support.harness import mounts, run

SCRIPTS = Path(__file__).parents[2] / "scripts"
SETUP = """
. {setup}
VENV={venv}
need_with_fuse() {{ :; }}
make_venv() {{ :; }}
"""


def test_another_shell(tmp_path: Path) -> None:
    """The lines that it prints are those by which a shell that has nothing else asks the sandbox."""
    demo, path = tmp_path / "scripts/demo", tmp_path / "mnt"
    demo.parent.mkdir()
    shutil.copy(SCRIPTS / "demo", demo)
    setup, venv = (shlex.quote(str(each)) for each in (SCRIPTS / "setup", Path(sys.executable).parents[1]))
    (demo.parent / "setup").write_text(SETUP.format(setup=setup, venv=venv))
    bare = {"PATH": os.defpath, "HOME": str(tmp_path)}
    try:
        printed = run(demo, path, env=bare).stdout.splitlines()
        lines = [line for line in printed if line.startswith("export ")]
        assert any(line == "export EMPIRICALRUN_KEY=sandbox-key" for line in lines)
        assert any(line.startswith("export EMPIRICAL_API_URL=http://127.0.0.1:") for line in lines)
        doctor = run("sh", "-c", "\n".join([*lines, "empirical-mount --doctor"]), check=False, env=bare)
        assert "12 resources in all" in doctor.stdout
    finally:
        run(demo, "--stop", env=bare)
    assert str(path) not in mounts()
