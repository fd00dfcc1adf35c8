"""Every setting: its name in flags, `-o`, the environment and the file, and its default."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from empirical_fs.errors import UsageError
from empirical_fs.privacy import KEY_VARIABLE
from empirical_fs.settings.values import (
    API_URL_VARIABLE,
    DEFAULT_API_URL,
    METRICS_VARIABLE,
    WrongValue,
    parse_listen_address,
    parse_memory,
    parse_min_free,
    parse_path,
    parse_positive_seconds,
    parse_seconds,
    parse_size,
    parse_switch,
    parse_url_ttl,
)


@dataclass(frozen=True, slots=True)
class Value:
    """The value of a setting, and its source: a flag, a variable, a file or the default."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Option:
    """A setting, which has the same name in flags, in `-o` and in the file."""

    name: str
    default: str | None
    parse: Callable[[str], Any]
    """Parses its value; may raise WrongValue."""
    variable: str | None = None
    """The environment variable that gives it."""
    is_switch: bool = False
    """Whether its name alone turns it on; the flag takes no value."""
    turns_on: str | None = None
    """The name of the switch that its value turns on, unless a source of the same or a higher precedence
    says otherwise."""

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return f"--{self.name.replace('_', '-')}"

    def value_of(self, text: str, source: str) -> Value:
        """Parse a text that `source` gives for it.

        Raises:
            UsageError: it is not a valid value.
        """
        try:
            return Value(self.parse(text), source)
        except WrongValue as error:
            raise UsageError(f"{source}: {error.trouble.what}", advice=error.trouble.advice) from error


def _switch(name: str) -> Option:
    return Option(name, "off", parse_switch, is_switch=True)


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
        _switch("cache"),
        Option("cache_dir", None, parse_path, turns_on="cache"),
        Option("cache_size", "10G", parse_size),
        Option("cache_min_free", "5%", parse_min_free),
        _switch("offline"),
        Option("metrics", None, parse_listen_address, METRICS_VARIABLE),
        Option("log_file", None, parse_path),
    )
}
"""All settings, in the order in which they are shown."""
