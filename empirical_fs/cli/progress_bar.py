"""Shows a progress bar on a terminal."""

import contextlib
import sys
from collections.abc import Iterator
from typing import NoReturn

from empirical_fs.control.cache_tasks import Progress as OfTask
from empirical_fs.control.cache_tasks import Show
from empirical_fs.work.progress import Progress, unseen


@contextlib.contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Progress]:
    """A progress bar for a listing of several pages, if stderr is a terminal; it is removed at the end."""
    if quiet or not sys.stderr.isatty():
        yield unseen
        return
    from tqdm import tqdm  # noqa: PLC0415 - slow to import, and rarely needed

    with contextlib.ExitStack() as stack:
        bars: list[tqdm[NoReturn]] = []

        def show(done: int, pages: int) -> None:
            if pages > 1 and not bars:
                bars.append(stack.enter_context(tqdm(desc="listing", total=pages, unit="page", leave=False)))
            for bar in bars:
                bar.update(done - bar.n)

        yield show


@contextlib.contextmanager
def task_bar(name: str, *, quiet: bool) -> Iterator[Show]:
    """A progress bar for a task with many files, if stderr is a terminal; it is removed at the end."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from tqdm import tqdm  # noqa: PLC0415 - slow to import, and rarely needed

    with tqdm(desc=name, unit="B", unit_scale=True, unit_divisor=1024, leave=False) as bar:

        def show(progress: OfTask) -> None:
            bar.total = progress.bytes or None
            bar.set_postfix_str(f"{progress.files_done} of {progress.files} files", refresh=False)
            bar.update(progress.bytes_done - bar.n)
            if progress.bytes_done >= progress.bytes:
                bar.refresh()

        yield show
