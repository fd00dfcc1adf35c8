"""The storage options: which there are, and what they must be. None of them is secret."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from empirical_fs.privacy import KEY_VARIABLE
from empirical_fs.settings import configuration
from empirical_fs.settings.configuration import Configuration
from empirical_fs.settings.options import OPTIONS, Option
from empirical_fs.settings.settings import ProjectSettings, project_values
from empirical_fs.settings.values import WrongValue, looks_like_a_word

_OURS = ("api_url", "key_file", "refresh", "cache", "cache_dir", "memory")
_OF_FSSPEC = ("use_listings_cache", "listings_expiry_time", "max_paths", "asynchronous", "loop")
"""Options that fsspec gives to any file system; they change nothing here."""
_SECRETS = ("key", "token", "api_key", "apikey", "password", "secret", "auth")


def parsed(options: Mapping[str, Any]) -> dict[str, Any]:
    """The values of our options.

    Raises:
        ValueError: an option is unknown, is a secret, or has no valid value.
    """
    values = {}
    for name, value in options.items():
        if name.lower() in _SECRETS:
            raise ValueError(
                f"the key is no storage option, since these are shown and stored; set {KEY_VARIABLE},"
                " or name a file as key_file"
            )
        if name in _OF_FSSPEC or value is None:
            continue
        if name not in _OURS:
            # A long name may be a key.
            named = f" {name!r}" if looks_like_a_word(name) else " of such a name"
            raise ValueError(f"there is no storage option{named}; there are: profile, {', '.join(_OURS)}")
        try:
            values[name] = _value(OPTIONS[name], value)
        except WrongValue as error:
            raise ValueError(f"the storage option {name}: {error.trouble}") from None
    return values


def _value(option: Option, value: Any) -> Any:
    if isinstance(value, bool):
        value = "on" if value else "off"
    parsed = option.parse(os.fspath(value) if isinstance(value, os.PathLike) else str(value))
    return parsed.expanduser() if isinstance(parsed, Path) else parsed


def _spell(option: Option) -> str:
    return f"the storage option {option.name}"


def find(values: Mapping[str, Any], profile: str | None) -> Configuration:
    """The settings for this process: these values, the environment, the configuration file, the defaults.

    Raises:
        SetupError: the file cannot be used, or a value that is used is not valid.
    """
    return configuration.find(values, (), os.environ.get(KEY_VARIABLE), None, profile, _spell)


def project_settings(found: Configuration) -> ProjectSettings:
    """The settings of the project.

    Raises:
        SetupError: there is no key, or a value is not valid.
    """
    variable = os.environ.get(KEY_VARIABLE)
    return ProjectSettings(**project_values(found, variable, None, "the storage option key_file"))
