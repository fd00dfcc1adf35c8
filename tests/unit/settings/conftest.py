"""A configuration file that the tests of the settings read."""

from pathlib import Path

import pytest

FILE = """
refresh = 30
memory = "512M"
options = "allow_other"

[profiles.staging]
api_url = "https://staging.example.org"
key_file = "staging.key"
refresh = 5.5
options = ["uid=5", "gid=6"]

[profiles.home]
key_file = "~/key"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    return path
