"""Every setting: its name in flags, `-o`, the environment and the file, and its default."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from empirical_fs.privacy import KEY_VARIABLE
from empirical_fs.settings.values import (
    API_URL_VARIABLE,
    DEFAULT_API_URL,
    parse_memory,
    parse_path,
    parse_positive_seconds,
    parse_seconds,
    parse_size,
    parse_url_ttl,
)


@dataclass(frozen=True, slots=True)
class Option:
    """A setting, which has the same name in flags, in `-o` and in the file."""

    name: str
    default: str | None
    parse: Callable[[str], Any]
    """Parses its value; may raise WrongValue."""
    variable: str | None = None
    """The environment variable that gives it."""

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return f"--{self.name.replace('_', '-')}"


OPTIONS = {
    option.name: option
    for option in (
        Option("api_url", DEFAULT_API_URL, str, API_URL_VARIABLE),
        Option("key_file", None, parse_path, KEY_VARIABLE),
        Option("refresh", "60", parse_seconds),
        Option("url_ttl", "3000", parse_url_ttl),
        Option("memory", "256M", parse_memory),
        Option("siblings", "256K", parse_size),
        Option("timeout", "30", parse_positive_seconds),
        Option("log_file", None, parse_path),
    )
}
"""All settings that take a value, in the order in which they are shown."""
