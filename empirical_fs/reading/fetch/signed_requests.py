"""Sends requests with signed URLs, and signs a URL again if the store refuses it."""

from empirical_fs.api.signed_urls import SignedUrls
from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline
from empirical_fs.errors import ContentChanged, StoreUnavailable, UnsafeUrl, UrlRefused
from empirical_fs.net.intermediaries import trouble_of
from empirical_fs.reading.fetch.object_store import Asked, Body, Store
from empirical_fs.reading.version import Head
from empirical_fs.work.waits import Steps, in_thread

_NOT_FOUND = (404, 410)


class SignedRequests:
    """Sends requests to the store. Immutable, so threads may share it."""

    def __init__(self, store: Store, urls: SignedUrls) -> None:
        """Ask `store` with the signed `urls`."""
        self._store = store
        self._urls = urls

    def head(self, asked: Asked, deadline: Deadline, cancellation: Cancellation) -> Steps[Head]:
        """The head of the store's answer; its body is closed unread."""
        head, body = yield from self.get(asked, deadline, cancellation)
        if body is not None:
            body.close()
        return head

    def get(
        self, asked: Asked, deadline: Deadline, cancellation: Cancellation
    ) -> Steps[tuple[Head, Body | None]]:
        """The answer of the store; if it refuses the URL, the URL is signed again once.

        Raises:
            EmpiricalError: there is no answer; ContentChanged if the object does not exist.
        """
        url = self._urls.known(asked.resource_id)
        if url is None:
            url = yield from in_thread(lambda: self._urls.get(asked.resource_id, deadline))
        try:
            return (yield from self._store.get(url, asked, deadline, cancellation))
        except (UrlRefused, UnsafeUrl):
            refused = url
        url = yield from in_thread(lambda: self._urls.renew(asked.resource_id, refused, deadline))
        try:
            return (yield from self._store.get(url, asked, deadline, cancellation))
        except UrlRefused as error:
            is_gone = error.status in _NOT_FOUND
            if error.is_from_intermediary and not (
                is_gone and (yield from self._store.is_own_page(url, asked))
            ):
                # A web page of a proxy or an outage shows nothing about the URL, and may soon disappear.
                raise StoreUnavailable(trouble_of("the store", error.status)) from error
            if is_gone:
                raise ContentChanged("the object was deleted") from error
            raise
