"""`--reload`: asks a mount to fetch its listing, and waits as long as that makes progress."""

import time
from itertools import chain, repeat
from pathlib import Path

from empirical_fs import control
from empirical_fs.listing import Progress
from empirical_fs.whole_numbers import whole_number

_PAUSES = (0.01, 0.02, 0.05, 0.1)
_LAST_PAUSE = 0.2


def reload(place: Path, progress: Progress) -> None:
    """Have the mount at `place` fetch its listing, and return when that serves.

    There is no deadline for the whole: the mount gives up on each page that does not come.

    Raises:
        SetupError: the mount cannot be asked, or the listing could not be had.
    """
    control.ask(place, control.Command.RELOAD)
    for pause in chain(_PAUSES, repeat(_LAST_PAUSE)):
        state = control.ask(place, control.Command.RELOADING)
        if state.get("ended", True):
            return
        progress(*(whole_number(state.get(each)) or 0 for each in ("done", "pages")))
        time.sleep(pause)
