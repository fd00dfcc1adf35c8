"""Serves the metrics of a mount where that was asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec

from empirical_fs.errors import SetupError
from empirical_fs.metrics.measuring import Parts, measured
from empirical_fs.settings.values import ListenAddress

Show = Callable[[Parts | None], object]
"""From now on shows the metrics of these parts; with None: nothing but those of the process."""

_INSTALL = "pipx install --force 'empirical-fs[metrics]'"


@contextmanager
def served_at(address: ListenAddress | None) -> Iterator[Show]:
    """Serve metrics at `address` as long as the context lasts, also from one mount to the next.

    Raises:
        SetupError: one cannot listen there, or prometheus-client is missing.
        NoThread: no thread can serve them.
    """
    if address is None:
        yield lambda _: None
        return
    if find_spec("prometheus_client") is None:
        raise SetupError(f"--metrics needs prometheus-client, which is missing: {_INSTALL}")
    # Its modules take a tenth of a mount's start.
    from empirical_fs.metrics.endpoint import Endpoint  # noqa: PLC0415

    endpoint = Endpoint(address)
    try:
        yield lambda parts: endpoint.show(None if parts is None else partial(measured, parts))
    finally:
        endpoint.close()
