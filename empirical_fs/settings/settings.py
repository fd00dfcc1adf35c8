"""The settings with which a project is read, and those of one mount, checked before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import httpx

from empirical_fs.errors import SetupError, UnsafeUrl, UsageError
from empirical_fs.net.urls import parse_fetchable
from empirical_fs.settings.caching import CacheSettings, cache_settings
from empirical_fs.settings.configuration import Configuration
from empirical_fs.settings.key import take_key
from empirical_fs.settings.mount_options import MountOptions
from empirical_fs.settings.values import DEFAULT_API_URL, ListenAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSettings:
    """Which project to read, and how."""

    key: str
    api_url: httpx.URL
    refresh: float
    """A listing that is older than so many seconds is fetched again on the next access."""
    url_ttl: float
    """For how many seconds a signed URL is cached at most."""
    memory: int
    """How many bytes of read data are held in user space at most."""
    siblings: int
    """Files of up to so many bytes are fetched ahead of a directory walk; 0 turns that off."""
    timeout: float
    """Seconds after which a read fails."""
    cache: CacheSettings | None = None
    """The cache on disk; None if it is off."""
    offline: bool = False
    """Whether to start from the cache without waiting for the API."""

    def __repr__(self) -> str:
        """Leave out the key, in case this is printed."""
        return f"{type(self).__name__}({self.api_url})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings(ProjectSettings):
    """The settings of one mount."""

    mountpoint: Path
    options: MountOptions
    metrics: ListenAddress | None = None
    """Where the metrics are served; None: nowhere."""
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Each setting's value as text, and its source: a flag, a variable, a file, or the default."""


class ProjectValues(TypedDict):
    """The fields of `ProjectSettings`."""

    key: str
    api_url: httpx.URL
    refresh: float
    url_ttl: float
    memory: int
    siblings: int
    timeout: float
    cache: CacheSettings | None
    offline: bool


def project_values(
    found: Configuration, variable: str | None, mountpoint: Path | None, key_option: str = "--key-file FILE"
) -> ProjectValues:
    """The settings for a project as the user gave them.

    Args:
        found: all settings and their sources.
        variable: the key from the environment, if it was there.
        mountpoint: the absolute path of the mount, in which the cache cannot be; None without one.
        key_option: how the user names a key file, for messages.

    Raises:
        SetupError: there is no key, or a value is not valid.
    """
    return {
        "key": take_key(found["key_file"], variable, found.values["key_file"].source, key_option),
        "api_url": parse_api_url(found["api_url"], found.api_url_from),
        "refresh": found["refresh"],
        "url_ttl": found["url_ttl"],
        "memory": found["memory"],
        "siblings": found["siblings"],
        "timeout": found["timeout"],
        "cache": cache_settings(found, mountpoint),
        "offline": bool(found["offline"]),
    }


def parse_api_url(text: str, source: str = "--api-url") -> httpx.URL:
    """Parse the URL of the API; `source` is the flag, variable or file that gave it.

    Raises:
        UsageError: an option gave it, and the key may not be sent to it.
        SetupError: the same, but another source gave it.
    """
    wrong = UsageError if source.startswith("-") else SetupError
    advice = f"write for example {DEFAULT_API_URL}"
    try:
        url = parse_fetchable(text.strip())
    except UnsafeUrl as error:
        raise wrong(f"{source}: this is {error}", advice=advice) from error
    if url.query or url.fragment:
        raise wrong(f"{source} takes no query and no fragment", advice=advice)
    return url
