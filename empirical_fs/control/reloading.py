"""`--reload`: asks a mount to fetch its listing, and waits until that ends."""

from pathlib import Path

from empirical_fs.control import protocol
from empirical_fs.whole_numbers import whole_number
from empirical_fs.work.progress import Progress


def reload(place: Path, progress: Progress) -> None:
    """Have the mount at `place` fetch its listing, and return when the new listing is in use.

    There is no overall deadline: the mount itself has one for each page.

    Raises:
        SetupError: the mount cannot be asked, or could not fetch the listing.
    """
    state = protocol.ask(place, protocol.Command.RELOAD)
    while not state.get("ended", True):
        progress(*(whole_number(state.get(each)) or 0 for each in ("done", "pages")))
        state = protocol.ask(place, protocol.Command.RELOADING)
