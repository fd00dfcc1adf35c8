"""Sample resources: small files of common kinds, with the same bytes on every run."""

import io
import math
import os
import struct
import wave
from datetime import timedelta
from pathlib import Path

from empirical_fs.sandbox.zipped import FIRST, zipped

_APART = timedelta(days=9, hours=5, minutes=17, seconds=41, microseconds=123457)
_SECOND_NS = 10**9
_WAVE_RATE = 16_000
_TONE_HZ = 440


def write_samples(folder: Path) -> list[str]:
    """Write the samples that are not yet in `folder`, which is created if necessary.

    Samples that need libraries which are not installed are left out; returns their names.

    Raises:
        OSError: the folder cannot be written to.
    """
    left_out = []
    for index, (path, content) in enumerate(_samples().items()):
        file = folder / path
        if file.exists():
            continue
        if content is None:
            left_out.append(path)
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        moment = FIRST + index * _APART
        moment_ns = int(moment.timestamp()) * _SECOND_NS + moment.microsecond * 1000
        os.utime(file, ns=(moment_ns, moment_ns))
    return left_out


def _samples() -> dict[str, bytes | None]:
    return {
        **_documents(),
        "test-users.csv": _table(),
        "notification.wav": _tone(),
        "fixtures.zip": _archive(),
        "release notes for QA.txt": b"1. Sign in.\n2. Put something into the cart.\n3. Check out.\n",
        "Übersicht \N{EN DASH} 概要.txt": "Größe, 大きさ, μέγεθος: all of it is UTF-8.\n".encode(),
        "web/config.json": b'{"baseUrl": "https://shop.example/", "browser": "chromium"}\n',
        "mobile/config.json": b'{"baseUrl": "https://m.shop.example/", "device": "Pixel 9"}\n',
        "Empirical.link": b"https://www.empirical.run/\n",
        "empty.log": b"",
    }


def _documents() -> dict[str, bytes | None]:
    try:
        from empirical_fs.sandbox.documents import DOCUMENTS  # noqa: PLC0415 - the .deb has no such libraries
    except ImportError:
        return dict.fromkeys(("checkout-flow.docx", "test-report.pdf", "login-page.png"))
    return {name: make() for name, make in DOCUMENTS.items()}


def _table() -> bytes:
    rows = (
        f"{number},user{number:03}@shop.example,{'admin' if number % 50 == 0 else 'buyer'}"
        for number in range(500)
    )
    return "\n".join(("id,email,role", *rows, "")).encode()


def _tone() -> bytes:
    samples = (
        round(12_000 * math.sin(2 * math.pi * _TONE_HZ * step / _WAVE_RATE)) for step in range(_WAVE_RATE)
    )
    written = io.BytesIO()
    with wave.open(written, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_WAVE_RATE)
        sound.writeframes(struct.pack(f"<{_WAVE_RATE}h", *samples))
    return written.getvalue()


def _archive() -> bytes:
    return zipped(
        {
            "fixtures/cart.json": b'{"items": [{"sku": "mug", "quantity": 2}]}\n',
            "fixtures/address.json": b'{"city": "Utrecht", "country": "NL"}\n',
        }
    )
