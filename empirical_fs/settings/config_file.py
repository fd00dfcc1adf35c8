"""Reads the configuration file: the settings in it for one profile, each checked."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs

from empirical_fs.errors import SetupError, UsageError
from empirical_fs.settings.named_files import read_named
from empirical_fs.settings.options import OPTIONS, Value
from empirical_fs.settings.trust import check_decisive, check_folder
from empirical_fs.settings.values import (
    looks_like_a_word,
)

_PROFILES = "profiles"
_FILE_MAX = 64 * 2**10
_KIB = 2**10
_DOTS_MAX = 64
"""In a line. To parse a key takes a time that grows with the square of its dots."""
_NAMED_MAX = 10
"""Profiles that a message lists."""
_INTEGER_MAX = 2**63 - 1

MOUNT_OPTIONS = "options"
"""The setting of the file that corresponds to `-o`: a text, or a list of texts."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The settings of a configuration file for one profile."""

    values: Mapping[str, Value]
    mount_options: tuple[str, ...] = ()


def default_path() -> Path | None:
    """The default path of the configuration file (XDG Base Directory Specification).

    None if the user has no home directory, for example in a container.
    """
    try:
        path = platformdirs.user_config_path("empirical-fs") / "config.toml"
    except RuntimeError:
        return None
    # Some versions of platformdirs leave a relative path, or the `~` of an unknown home, as it is.
    return path if path.is_absolute() else None


def read_file(path: Path | None, profile: str | None) -> ConfigFile:
    """Read the general settings of the file, and those of `profile`.

    Without a path the default file is read, which need not exist.

    Raises:
        SetupError: it cannot be read, is not a valid configuration file, or has no such profile.
    """
    place = path or default_path()
    if place is None:
        if profile is not None:
            raise SetupError(
                "no home directory is known, so there is no configuration file", advice="give --config FILE"
            )
        return ConfigFile({})
    document = _document(place, is_needed=path is not None or profile is not None)
    profiles = document.pop(_PROFILES, {})
    if not isinstance(profiles, dict) or not all(isinstance(each, dict) for each in profiles.values()):
        raise UsageError(f"{place}: write each profile as [profiles.NAME]")
    sections = [(document, str(place))]
    if profile is not None:
        # The command line is in the encoding of the locale, the file is in UTF-8.
        profile = os.fsencode(profile).decode(errors="surrogateescape")
        if profile not in profiles:
            known = ", ".join(sorted(profiles)[:_NAMED_MAX]) or "none"
            known += f" and {len(profiles) - _NAMED_MAX} more" if len(profiles) > _NAMED_MAX else ""
            misspelt = "profile" in document and not profiles
            advice = "write it as [profiles.NAME], not [profile.NAME]" if misspelt else f"it has: {known}"
            raise UsageError(f"{place} has no profile {profile!r}", advice=advice)
        sections.append((profiles[profile], f"{place} [profiles.{profile}]"))
    values: dict[str, Value] = {}
    mount_options: list[str] = []
    for section, source in sections:
        for name, given in section.items():
            if name == MOUNT_OPTIONS:
                mount_options += _texts(given, source)
            else:
                values[name] = _from_file(name, given, source, place.parent)
    return ConfigFile(values, tuple(mount_options))


def _document(place: Path, *, is_needed: bool) -> dict[str, Any]:
    try:
        content = read_named(place, _FILE_MAX + 1, partial(_check_trust, place))
        if len(content) > _FILE_MAX:
            raise SetupError(f"{place} is larger than a configuration file may be ({_FILE_MAX // _KIB} KiB)")
        if any(line.count(b".") > _DOTS_MAX for line in content.splitlines()):
            raise SetupError(f"{place} has a line with more than {_DOTS_MAX} dots")
        return tomllib.loads(content.decode())
    except FileNotFoundError as error:
        if is_needed:
            # A single word may be a key that was given by mistake, so it is not shown.
            named = f" {place}" if place.suffix or len(place.parts) > 1 else " of that name"
            raise SetupError(f"there is no configuration file{named}") from error
        return {}
    except OSError as error:
        # Under sudo -u, HOME often is another user's directory.
        if not is_needed and not os.access(place.parent, os.X_OK):
            return {}
        raise SetupError(f"cannot read {place}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SetupError(f"{place} is not in UTF-8, as TOML is") from error
    except (ValueError, RecursionError) as error:
        # Python limits the digits of a number, and its message about that is for programmers.
        reason = (
            str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a number or a nesting is too long"
        )
        raise SetupError(f"{place} is no TOML: {reason}") from error


def _check_trust(place: Path, descriptor: int) -> None:
    """Check that only we and root can write this file, which decides where the key is sent.

    Raises:
        SetupError: other users can write it.
    """
    check_decisive(os.fstat(descriptor), "configuration file", str(place))
    # The file may be a symbolic link into a folder of dotfiles: check both folders.
    for folder in {place.absolute().parent, place.resolve().parent}:
        check_folder(folder.stat(), "folder of the configuration file", str(folder))


def _check_characters(name: str, text: str, source: str) -> None:
    if "\0" in text:
        raise UsageError(f"{source}: {name} has a character in it (NUL) that no setting may have")


def _texts(given: object, source: str) -> list[str]:
    given = given if isinstance(given, list) else [given]
    texts = [text for text in given if isinstance(text, str)]
    if len(texts) < len(given):
        raise UsageError(f"{source}: write options as a text or a list of texts")
    for text in texts:
        _check_characters(MOUNT_OPTIONS, text, source)
    return texts


def _from_file(name: str, given: object, source: str, folder: Path) -> Value:
    option = OPTIONS.get(name)
    if option is None:
        advice = (
            "write the key into a file of its own, and its name as key_file"
            if name == "key"
            else f"there are: {', '.join([*OPTIONS, MOUNT_OPTIONS])}"
        )
        # An unknown name may be a key, so it is shown only if it cannot be one.
        named = f" {name!r}" if looks_like_a_word(name) else " of such a name"
        raise UsageError(f"{source}: there is no setting{named}", advice=advice)
    if option.is_switch and isinstance(given, bool):
        return Value(given, source)
    if option.is_switch and not isinstance(given, str):
        raise UsageError(f"{source}: {name} takes true or false")
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise UsageError(f"{source}: {name} takes a text or a number")
    if isinstance(given, int) and abs(given) > _INTEGER_MAX:
        # The largest integer that TOML requires (v1.0.0); Python refuses to print much larger ones.
        raise UsageError(f"{source}: {name} takes a smaller number")
    text = str(given)
    _check_characters(name, text, source)
    value = option.value_of(text, f"{source}: {name}").value
    if not isinstance(value, Path):
        return Value(value, source)
    # The file is in UTF-8, and so are file names in it, whatever the locale is.
    value = Path(os.fsdecode(text.encode()))
    try:
        # A relative path in the file is relative to the file's folder.
        return Value(folder / value.expanduser(), source)
    except RuntimeError as error:
        raise SetupError(f"{source}: {name}: no home directory is known for {value}") from error
