"""What one mount needs to know, checked before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from empirical_fs.errors import SetupError, UnsafeUrl, UsageError
from empirical_fs.net.urls import parse_fetchable
from empirical_fs.settings.mount_options import MountOptions
from empirical_fs.settings.values import DEFAULT_API_URL


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that one mount needs to know."""

    mountpoint: Path
    key: str
    api_url: httpx.URL
    refresh: float
    """Seconds after which the listing is fetched again when somebody asks."""
    url_ttl: float
    """Seconds for which a signed URL is kept at most."""
    memory: int
    """Bytes of read data held in user space at most."""
    siblings: int
    """Bytes up to which files are fetched ahead of a directory walk; 0 for none."""
    timeout: float
    """Seconds after which a read fails."""
    options: MountOptions
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Each setting as a text, and who said so: a flag, a variable, a file or nobody."""

    def __repr__(self) -> str:
        """Without the key, wherever this may be printed."""
        return f"Settings({self.mountpoint}, {self.api_url})"


def parse_api_url(text: str, source: str = "--api-url") -> httpx.URL:
    """The origin of the API; `source` is who says so.

    Raises:
        UsageError: an option gives what is not a URL to which a key may be sent.
        SetupError: somebody else does.
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
