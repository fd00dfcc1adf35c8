"""The command `empirical-sandbox`."""

import argparse
import logging
import os
import sys
from pathlib import Path

from empirical_fs.sandbox.app import sandbox_app
from empirical_fs.sandbox.plan import BadPlan, Plan, parse_plan
from empirical_fs.sandbox.project import ProjectFolder
from empirical_fs.sandbox.server import bind, host_of, loopback_address, serve
from empirical_fs.sandbox.sidecar import BadSidecar

_HIGHEST_PORT = 65535


class _Failure(Exception):
    """The sandbox cannot start; the message is for the user."""


def main() -> None:
    """Run the command; exits with 2 after wrong usage, 1 after a failure, 0 after SIGINT or SIGTERM."""
    arguments = _parser().parse_args()
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    if arguments.log_requests:
        logging.getLogger("empirical_fs.sandbox").setLevel(logging.INFO)
    try:
        _run(arguments)
    except _Failure as failure:
        sys.exit(f"empirical-sandbox: {failure}")


def _run(arguments: argparse.Namespace) -> None:
    folder: Path = arguments.folder
    plan = _read_plan(arguments.plan)
    if arguments.samples:
        _write_samples(folder)
    if not folder.is_dir():
        raise _Failure(f"{folder} is not a directory")
    try:
        project = ProjectFolder(folder)
    except BadSidecar as error:
        raise _Failure(str(error)) from error
    try:
        listener = bind(arguments.host, arguments.port)
    except OSError as error:
        raise _Failure(
            f"cannot listen on {arguments.host} port {arguments.port}: {error.strerror}"
        ) from error
    host = host_of(listener)
    base_url = f"http://{host}"

    def announce() -> None:
        sys.stdout.write(f"serving {folder} at {base_url}\n")
        sys.stdout.flush()
        if arguments.ready_file is not None:
            _write_atomically(arguments.ready_file, base_url)

    serve(sandbox_app(project, arguments.key, plan, arguments.public_host or base_url), listener, announce)


def _read_plan(path: Path | None) -> Plan:
    if path is None:
        return Plan()
    try:
        return parse_plan(path.read_bytes())
    except OSError as error:
        raise _Failure(f"cannot read the plan {path}: {error.strerror}") from error
    except BadPlan as error:
        raise _Failure(f"{path} is not a plan: {error}") from error


def _write_samples(folder: Path) -> None:
    # Imported only if needed: the libraries that write documents take longer to load than all the rest.
    from empirical_fs.sandbox.samples import write_samples  # noqa: PLC0415

    try:
        left_out = write_samples(folder)
    except OSError as error:
        raise _Failure(f"cannot write samples to {folder}: {error.strerror}") from error
    if left_out:
        said = (
            f"without {', '.join(left_out)}, which take python-docx, fpdf2 and Pillow (the extra `sandbox`)"
        )
        print(f"empirical-sandbox: {said}", file=sys.stderr)  # noqa: T201 - a message of a command


def _write_atomically(path: Path, text: str) -> None:
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(text)
    unfinished.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="empirical-sandbox", description="Serve a folder as the resources of an Empirical project."
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder whose files are the resources")
    parser.add_argument(
        "--host", type=_loopback, default="127.0.0.1", help="a loopback address (%(default)s)"
    )
    parser.add_argument("--port", type=_port, default=8377, help="0 takes a free one (%(default)s)")
    parser.add_argument(
        "--public-host",
        metavar="[https://]ADDRESS:PORT",
        type=_public_origin,
        help="the host of signed URLs, if something else forwards what comes there to here",
    )
    parser.add_argument(
        "--key",
        type=_key,
        default=os.environ.get("EMPIRICALRUN_KEY") or "sandbox-key",
        help="the API key to accept ($EMPIRICALRUN_KEY, else sandbox-key)",
    )
    parser.add_argument("--plan", metavar="FILE", type=Path, help="how to misbehave, in JSON")
    parser.add_argument("--ready-file", metavar="FILE", type=Path, help="gets the base URL once it serves")
    parser.add_argument("--samples", action="store_true", help="put sample resources into DIR first")
    parser.add_argument("--log-requests", action="store_true", help="write a line per request to stderr")
    return parser


def _loopback(text: str) -> str:
    try:
        return loopback_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _HIGHEST_PORT):
        raise argparse.ArgumentTypeError(f"{text} is not a port")
    return int(text)


def _public_origin(text: str) -> str:
    scheme, separator, host = text.rpartition("://")
    address, colon, port = host.rpartition(":")
    if separator and scheme not in ("http", "https"):
        raise argparse.ArgumentTypeError(f"{text} is neither http nor https")
    if not (colon and address.isascii() and address.isprintable() and not set(address) & set(" /?#@")):
        raise argparse.ArgumentTypeError(f"{text} is not ADDRESS:PORT")
    return f"{scheme or 'http'}://{address}:{_port(port)}"


def _key(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable():
        raise argparse.ArgumentTypeError("the key must be printable ASCII")
    return text
