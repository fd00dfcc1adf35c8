"""The wheel has all that it should, nothing else, and installs."""

import sys
from email.parser import HeaderParser
from pathlib import Path

import empirical_fs
from scripts.packaging.generate import generated
from tests.packaging.conftest import TOP, Built
from tests.support.harness import environment, run

_AS_THEY_ARE = (
    "share/systemd/user/empirical-mount@.service",
    "share/applications/empirical-open-link.desktop",
)


def test_modules(built: Built) -> None:
    """Every module of the package is in the wheel, and so is the mark that it has types."""
    source = TOP / "empirical_fs"
    wanted = {str(path.relative_to(TOP)) for path in source.rglob("*.py")} | {"empirical_fs/py.typed"}
    assert {name for name in built.names() if name.startswith("empirical_fs/")} == wanted


def test_nothing_else(built: Built) -> None:
    """Beside the package there are only its metadata and its shared files: no tests, no scripts."""
    folder = f"empirical_fs-{empirical_fs.__version__}"
    tops = {name.split("/")[0] for name in built.names()}
    assert tops == {"empirical_fs", f"{folder}.dist-info", f"{folder}.data"}


def test_shared_files(built: Built) -> None:
    """Man page and completions in the wheel are those that the parser makes now; the others are there."""
    for path, text in generated().items():
        assert built.text(f".data/data/{path}") == text
    for name in _AS_THEY_ARE:
        assert built.text(f".data/data/{name}") == (TOP / "scripts/packaging" / Path(name).name).read_text()


def test_metadata(built: Built) -> None:
    """The version is the package's, from one place; every command is an entry point."""
    metadata = HeaderParser().parsestr(built.text(".dist-info/METADATA"))
    assert (metadata["Name"], metadata["Version"]) == ("empirical-fs", empirical_fs.__version__)
    assert metadata["Requires-Python"] == ">=3.11"
    entry_points = built.text(".dist-info/entry_points.txt")
    assert "empirical-mount = empirical_fs.cli.main:main" in entry_points
    assert "empirical-open-link = empirical_fs.cli.open_link:main" in entry_points
    assert "empirical-sandbox = empirical_fs.sandbox.cli:main" in entry_points


def test_sdist(built: Built) -> None:
    """The sdist has what the wheel is built from, the tests, and nothing that is ignored."""
    (sdist,) = built.folder.glob("*.tar.gz")
    names = {Path(name).parts[1] for name in run("tar", "-tzf", sdist).stdout.splitlines()}
    assert {"empirical_fs", "scripts", "tests", "pyproject.toml", "README.md", "LICENSE"} <= names
    assert not {".venv", ".git", "dist"} & names


def test_install(built: Built, tmp_path: Path) -> None:
    """`uv tool install` makes a command of the wheel that runs, with its man page beside it."""
    variables = {
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "PYTHONPATH": None,
    }
    uv = Path(sys.executable).with_name("uv")
    run(uv, "tool", "install", "--python", sys.executable, built.wheel, env=environment(**variables))
    done = run(tmp_path / "bin/empirical-mount", "--version", env=environment(PYTHONPATH=None))
    assert done.stdout == f"empirical-mount {empirical_fs.__version__}\n"
    assert (tmp_path / "tools/empirical-fs/share/man/man1/empirical-mount.1").exists()
