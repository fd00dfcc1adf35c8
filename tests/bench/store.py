"""The projects that are measured: their files, their API pages, and what was asked of the store for them."""

import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

from tests.bench import nginx
from tests.support.nginx import authority

MIB = 2**20
PER_PAGE = 100
"""Resources that our client asks for at once."""

_LINKS_MAX = 60_000
"""Names of one inode; ext4 has 65,000 at most."""
_QUIET_SECONDS = 0.3
_UNITS = (("GiB", 2**30), ("MiB", MIB), ("KiB", 2**10))


def described_size(size: int) -> str:
    """A size of whole KiB, MiB or GiB, in the largest of them."""
    unit, divisor = next(each for each in _UNITS if size % each[1] == 0)
    return f"{size // divisor} {unit}"


class Location(StrEnum):
    """How the store serves a project (nginx.py)."""

    FAST = "fast"
    WAN = "wan"
    """Some time before the first byte, and no connection is fast."""
    DELAY = "delay"
    """Some time before the first byte."""

    @property
    def described(self) -> str:
        """The same, for the reader of a figure."""
        match self:
            case Location.FAST:
                return "store on the same machine"
            case Location.WAN:
                return f"store {nginx.DELAY_MS} ms away, {nginx.CONNECTION_MB} MB/s a connection"
            case Location.DELAY:
                return f"store {nginx.DELAY_MS} ms away"


@dataclass(frozen=True)
class File:
    """A file of a project; files of one size and one `content` number hold the same bytes.

    One whose name ends in `.parquet` is a table of about that size (parquet.py).
    """

    name: str
    size: int
    content: int = 0


@dataclass(frozen=True)
class Project:
    """Files that are mounted together."""

    name: str
    location: Location
    files: tuple[File, ...]
    scheme: Literal["http", "https"] = "http"

    @property
    def pages(self) -> int:
        """How many pages the listing has."""
        return -(-len(self.files) // PER_PAGE)


@dataclass(frozen=True)
class Request:
    """A request for a file, as the store logged it."""

    method: str
    uri: str
    sent: int
    """Bytes of the body."""
    range: str


class Store:
    """nginx and the folders that it serves."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._projects = folder / "projects"
        self._pages = folder / "pages"
        self._nginx = folder / "nginx"
        for each in (self._data, self._projects, self._pages):
            each.mkdir(parents=True)
        self._ports = nginx.Ports(0, 0, 0, 0)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the block ends."""
        with nginx.serving(self._nginx, self._projects, self._pages) as self._ports:
            yield

    @property
    def authority(self) -> Path:
        """The certificate to trust for https."""
        return authority(self._nginx)

    @property
    def s3_url(self) -> str:
        """Where the projects are buckets, as far away as `Location.DELAY`, while one serves them."""
        return f"http://127.0.0.1:{self._ports.s3}"

    @property
    def s3_behind(self) -> int:
        """The port at which that server is to listen, which passes them on."""
        return self._ports.s3_behind

    @property
    def buckets(self) -> Path:
        """The folder of all projects."""
        return self._projects

    @property
    def port(self) -> int:
        """Where plain http is spoken, and the API."""
        return self._ports.http

    def api_url(self, project: Project) -> str:
        return f"http://127.0.0.1:{self.port}/{project.name}"

    def url(self, project: Project) -> str:
        """The folder of the project, listed by nginx."""
        port = self._ports.https if project.scheme == "https" else self._ports.http
        return f"{project.scheme}://127.0.0.1:{port}{self.url_path(project)}"

    def url_path(self, project: Project, name: str = "") -> str:
        """Where the project, or a file of it, is on its server."""
        return f"/{project.location}/{project.name}/{name}"

    def path(self, project: Project, name: str = "") -> Path:
        """The project's folder on disk, or a file in it."""
        return self._projects / project.name / name

    def add(self, project: Project) -> None:
        """Serve `project`, which takes no room for contents that other projects have too."""
        folder = self.path(project)
        if folder.exists():
            return
        folder.mkdir()
        for file in project.files:
            (folder / file.name).hardlink_to(self._content(file))
        self._write_pages(project)

    def warm(self, project: Project) -> None:
        """Read the project's files, so that the store has them in memory."""
        piece, seen = bytearray(MIB), set()
        for each in os.scandir(self.path(project)):
            if each.inode() not in seen:
                seen.add(each.inode())
                with Path(each).open("rb", buffering=0) as file:
                    while file.readinto(piece):
                        pass

    def mark(self) -> int:
        """Where the log ends now, once no request is left to be logged."""
        log = self._nginx / "access.log"
        size, since = log.stat().st_size, time.monotonic()
        while time.monotonic() < since + _QUIET_SECONDS:
            time.sleep(_QUIET_SECONDS / 10)
            if log.stat().st_size != size:
                size, since = log.stat().st_size, time.monotonic()
        return size

    def requests(self, project: Project, begin: int, end: int) -> list[Request]:
        """The requests for files of `project` between two marks."""
        with (self._nginx / "access.log").open("rb") as log:
            log.seek(begin)
            lines = log.read(end - begin).splitlines()
        requests = [Request(**json.loads(line)) for line in lines]
        prefix = self.url_path(project)
        return [each for each in requests if each.uri.startswith(prefix) and not each.uri.endswith("/")]

    def _content(self, file: File) -> Path:
        path = self._data / f"{file.size}-{file.content}"
        if path.exists():
            if path.stat().st_nlink < _LINKS_MAX:
                return path
            path.unlink()  # the next file of this content begins another inode
        if file.name.endswith(".parquet"):
            from tests.bench.parquet import write  # noqa: PLC0415 - only its row needs pyarrow

            write(path, file.size)
        else:
            generator = random.Random(f"{file.size}-{file.content}")
            with path.open("wb") as output:
                for begin in range(0, file.size, MIB):
                    output.write(generator.randbytes(min(MIB, file.size - begin)))
        return path

    def _write_pages(self, project: Project) -> None:
        folder = self._pages / project.name
        folder.mkdir()
        signature = f"X-Amz-Signature=bench&X-Amz-Date={datetime.now(UTC):%Y%m%dT%H%M%SZ}&X-Amz-Expires=86400"
        resources = [
            {
                "id": number,
                "project_id": 1,
                "name": file.name,
                "url": f"{self.url(project)}{file.name}?{signature}",
                "description": None,
                "mime_type": "application/octet-stream",
                "size_bytes": self.path(project, file.name).stat().st_size,
                "status": "uploaded",
                "created_by": "bench",
                "created_at": "2026-03-20T10:30:00Z",
                "updated_at": "2026-03-20T10:30:00Z",
            }
            for number, file in enumerate(project.files, 1)
        ]
        # The API lists the newest first.
        resources.reverse()
        for page in range(1, project.pages + 1):
            answer = {
                "data": {"resources": resources[(page - 1) * PER_PAGE : page * PER_PAGE]},
                "pagination": {
                    "page": page,
                    "per_page": PER_PAGE,
                    "total": len(resources),
                    "total_pages": project.pages,
                },
            }
            (folder / f"{PER_PAGE}-{page}.json").write_text(json.dumps(answer))
