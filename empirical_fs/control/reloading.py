"""`--reload`: asks a mount to fetch its listing, and waits as long as that makes progress."""

from pathlib import Path

from empirical_fs.control import protocol
from empirical_fs.whole_numbers import whole_number
from empirical_fs.work.progress import Progress


def reload(place: Path, progress: Progress) -> None:
    """Have the mount at `place` fetch its listing, and return when that serves.

    There is no deadline for the whole: the mount gives up on each page that does not come.

    Raises:
        SetupError: the mount cannot be asked, or the listing could not be had.
    """
    state = protocol.ask(place, protocol.Command.RELOAD)
    while not state.get("ended", True):
        progress(*(whole_number(state.get(each)) or 0 for each in ("done", "pages")))
        state = protocol.ask(place, protocol.Command.RELOADING)
