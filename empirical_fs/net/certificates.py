"""The trusted certificates: those of the system, which include those that its administrator added."""

import os
import re
import ssl
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import certifi

from empirical_fs.errors import SetupError

FILE_VARIABLE, FOLDERS_VARIABLE = "SSL_CERT_FILE", "SSL_CERT_DIR"
_KEY_LOG_VARIABLE = "SSLKEYLOGFILE"
_MEND = "mend or unset it"

BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Arch, Alpine
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # Fedora
    Path("/etc/ssl/ca-bundle.pem"),  # openSUSE
    Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),  # Red Hat
    Path("/etc/ssl/cert.pem"),  # Alpine, macOS
)
"""Where systems keep all their certificates in one file; the list is that of Go's crypto/x509."""

_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
"""The names by which OpenSSL looks for a certificate in a folder (openssl-rehash(1))."""


def create_context(bundles: Iterable[Path] = BUNDLES) -> ssl.SSLContext:
    """The TLS context by which a client checks certificates.

    It trusts what OpenSSL finds in its default places, which `SSL_CERT_FILE` and `SSL_CERT_DIR` replace
    (SSL_CTX_load_verify_locations(3)). The OpenSSL of some Pythons does not look where the system keeps its
    certificates, so without these variables the first readable one of `bundles` is trusted, too. If all of
    them hold no certificate, certifi's are trusted.

    Raises:
        SetupError: the variables name no certificate, or OpenSSL cannot be set up.
    """
    _check_pipes((FILE_VARIABLE, _KEY_LOG_VARIABLE))
    try:
        context = ssl.create_default_context()
    except OSError as error:  # SSLError is a subclass
        raise SetupError(
            f"TLS cannot be set up ({type(error).__name__})",
            advice=f"check {FILE_VARIABLE}, SSLKEYLOGFILE and OPENSSL_CONF",
        ) from error
    # On by default from Python 3.13: it rejects the authorities of many companies' proxies, which curl and
    # browsers accept.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    file = os.environ.get(FILE_VARIABLE)
    has_folders = bool(os.environ.get(FOLDERS_VARIABLE))
    if file and not has_folders and not _has_any(context):
        raise SetupError(f"{FILE_VARIABLE}: there is no certificate that can be read in {file}", advice=_MEND)
    places = ssl.get_default_verify_paths()
    folders = [
        Path(each)
        for each in (os.environ.get(FOLDERS_VARIABLE) or places.openssl_capath).split(":")
        if each and _is_hashed(Path(each))
    ]
    is_asked = bool(file or has_folders)
    if not is_asked:
        known = {*map(os.path.realpath, folders), os.path.realpath(places.openssl_cafile)}
        _add_bundle(context, bundles, known)
    if not folders and not _has_any(context):
        if is_asked:
            raise SetupError(
                f"{FOLDERS_VARIABLE}: no certificate is found there",
                advice="run openssl rehash on it, or unset it",
            )
        context.load_verify_locations(certifi.where())
    return context


def _check_pipes(variables: Iterable[str]) -> None:
    """Refuse variables that name a pipe: OpenSSL would open it and wait for ever for the other end."""
    for name in variables:
        path = os.environ.get(name)
        if path and _is_pipe(path):
            raise SetupError(f"{name}: {path} is a pipe, and no file", advice=_MEND)


def _is_pipe(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)  # noqa: PTH116 - of any text
    except (OSError, ValueError):
        return False  # OpenSSL reports the error


def _has_any(context: ssl.SSLContext) -> bool:
    """Whether certificates were loaded from a file; OpenSSL loads those in folders only when needed."""
    return context.cert_store_stats()["x509"] > 0


def _is_hashed(folder: Path) -> bool:
    try:
        return any(_HASHED.fullmatch(name) for name in os.listdir(folder))  # noqa: PTH208 - names, and many
    except OSError:
        return False


def _add_bundle(context: ssl.SSLContext, bundles: Iterable[Path], known: set[str]) -> None:
    """Trust the first readable bundle, unless it is at a place that OpenSSL reads anyway (`known`)."""
    for bundle in bundles:
        if os.path.realpath(bundle) in known or os.path.realpath(bundle.parent) in known:
            return
        with suppress(OSError):
            context.load_verify_locations(bundle)
            return
