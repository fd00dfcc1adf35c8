"""Describes a failed request: in words, without a URL or a header, and whether to try again."""

import errno
import socket
import ssl
from collections.abc import Iterator

import httpx

from empirical_fs.errors import Trouble
from empirical_fs.net.connecting import ResolverSilent
from empirical_fs.net.proxies import Proxy
from empirical_fs.net.streams import NotHttp
from empirical_fs.net.tunnels import ProxyRefused, ProxyUnreachable
from empirical_fs.server import Server

_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)
_PASSING = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""TLS errors that mean a connection that broke off."""

_NOT_YET_VALID, _EXPIRED, _WRONG_NAMES = 9, 10, (62, 64)
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)
"""Codes of X509_STORE_CTX_get_error(3)."""
_NOT_TLS = frozenset(
    {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "RECORD_LAYER_FAILURE",
        "PACKET_LENGTH_TOO_LONG",
        "UNEXPECTED_MESSAGE",
    }
)
"""How different releases of OpenSSL report an answer that is not TLS."""
_PORTAL = "a sign-in page of the network looks like this, too"


def is_no_http(error: Exception) -> bool:
    """Whether an answer came that cannot be parsed as HTTP."""
    return isinstance(error, NotHttp)


def is_lasting(error: Exception) -> bool:
    """Whether another try at once is useless: no TLS is possible, or the proxy rejects the user name."""
    if isinstance(error, ProxyRefused):
        return error.wants_name
    return any(isinstance(each, ssl.SSLError) and not isinstance(each, _PASSING) for each in _causes(error))


def is_silence(error: Exception) -> bool:
    """Whether the server may be silent; a shortage here (of connections, descriptors) says nothing of it."""
    if not isinstance(error, httpx.TransportError) or isinstance(error, httpx.PoolTimeout):
        return False
    return not any(isinstance(each, OSError) and each.errno in _SHORTAGES for each in _causes(error))


def described(error: Exception, server: Server, proxy: Proxy | None = None) -> Trouble:
    """A description of why a request to `server`, perhaps through `proxy`, failed."""
    host = server.host
    cause = next((each for each in _causes(error) if isinstance(each, OSError | UnicodeError)), None)
    match error:
        case ProxyRefused() if proxy is not None:
            trouble = _of_proxy(error, host, proxy)
        case ProxyUnreachable() if proxy is not None:
            trouble = _of_reaching(cause, proxy)
        case httpx.ConnectTimeout() if isinstance(cause, ResolverSilent):
            trouble = Trouble(f"no name server says where {host} is", "check the network and its DNS")
        case httpx.ConnectTimeout():
            trouble = Trouble(f"connecting to {host} took too long")
        case httpx.PoolTimeout():
            trouble = Trouble(f"too many requests to {host} are under way")
        case httpx.TimeoutException():
            trouble = Trouble(f"{host} did not answer in time")
        case httpx.ConnectError():
            trouble = _of_connecting(cause, server)
        case _ if is_no_http(error):
            why = str(error) if isinstance(error, NotHttp) else "what it answers is not HTTP"
            trouble = Trouble(f"{host} cannot be understood: {why}")
        case httpx.ReadError() | httpx.WriteError() | httpx.RemoteProtocolError() | httpx.StreamError():
            trouble = Trouble(f"the connection to {host} broke off")
        case _:
            trouble = Trouble(f"the request to {host} failed ({type(error).__name__})")
    return trouble


def _of_connecting(cause: BaseException | None, server: Server) -> Trouble:
    host, reason = server.host, getattr(cause, "reason", None)
    match cause:
        case ssl.SSLCertVerificationError():
            trouble = _of_certificate(cause, host)
        case ssl.SSLError() if reason in _NOT_TLS:
            trouble = Trouble(f"{host}:{server.port} is not speaking TLS", "is it http://, or another port?")
        case ssl.SSLError() if not isinstance(cause, _PASSING):
            why = (reason or "no reason given").lower().replace("_", " ")
            trouble = Trouble(f"the TLS handshake with {host} failed ({why})")
        case socket.gaierror(errno=socket.EAI_AGAIN):
            trouble = Trouble(f"no name server says where {host} is", "check the network and its DNS")
        case socket.gaierror() | UnicodeError():
            trouble = Trouble(f"the name {host} is not known", "check its spelling, and the network's DNS")
        case ConnectionRefusedError():
            trouble = Trouble(f"{host}:{server.port} refused the connection")
        case OSError(errno=number) if number in _NO_WAY:
            trouble = Trouble(f"there is no network route to {host}", "is the network up?")
        case OSError(errno=number, strerror=shortage) if number in _SHORTAGES:
            trouble = Trouble(f"no connection can be made to {host}: {shortage}")
        case _:
            trouble = Trouble(f"the connection to {host} could not be made")
    return trouble


def _of_certificate(error: ssl.SSLCertVerificationError, host: str) -> Trouble:
    match error.verify_code:
        case code if code == _EXPIRED:
            return Trouble(f"the certificate of {host} has expired", f"check this machine's clock; {_PORTAL}")
        case code if code == _NOT_YET_VALID:
            return Trouble(f"the certificate of {host} is not valid yet", "check this machine's clock")
        case code if code in _WRONG_NAMES:
            return Trouble(f"what answers as {host} has a certificate for another name", _PORTAL)
        case code if code not in _UNKNOWN_AUTHORITY:
            why = error.verify_message
            return Trouble(
                f"the certificate of {host} is not trusted ({why})", f"tell who runs it; {_PORTAL}"
            )
        case _:
            why = error.verify_message or "it cannot be checked"
            return Trouble(
                f"the certificate of {host} is not trusted ({why})",
                "add its authority to the system's (update-ca-certificates), or name its file in"
                f" SSL_CERT_FILE; {_PORTAL}",
            )


def _of_reaching(cause: BaseException | None, proxy: Proxy) -> Trouble:
    is_of_machine = isinstance(cause, OSError) and cause.errno in _SHORTAGES
    if is_of_machine or (isinstance(cause, ssl.SSLError) and not isinstance(cause, _PASSING)):
        return _of_connecting(cause, proxy.server)
    return Trouble(f"the proxy {proxy.place} cannot be reached", f"check {proxy.variable}")


def _of_proxy(error: ProxyRefused, host: str, proxy: Proxy) -> Trouble:
    said = f" ({error})" if str(error) else ""
    if error.wants_name:
        return Trouble(
            f"the proxy {proxy.place} wants another user name or password{said}",
            f"write {proxy.server.scheme}://USER:PASSWORD@{proxy.place} into {proxy.variable}",
        )
    return Trouble(
        f"the proxy {proxy.place} does not connect to {host}{said}",
        f"ask who runs it, or see {proxy.variable}",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
