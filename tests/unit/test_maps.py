"""The map of each package names all its modules, and no others."""

import ast
import re
from pathlib import Path

import pytest

import empirical_fs

TOP = Path(empirical_fs.__file__).parent
PACKAGES = sorted(each.parent for each in TOP.glob("**/__init__.py") if each.parent != TOP)
OF_A_PROGRAM = "__main__"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda each: str(each.relative_to(TOP)))
def test_a_map_is_complete(package: Path) -> None:
    """A module that was added, renamed or removed is so in the map too."""
    map_ = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    modules = {each.stem for each in package.glob("*.py")} - {"__init__", OF_A_PROGRAM}
    assert {each for each in modules if not re.search(rf"\b{each}\b", map_)} == set()
    assert set(re.findall(r"\b(\w+)\.py\b", map_)) - modules == set()
