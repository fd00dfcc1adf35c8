"""Sample resources: small files of the kinds that people keep, the same on every run."""

import io
import math
import os
import struct
import wave
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import docx
import fpdf
from PIL import Image, ImageDraw

_FIRST = datetime(2026, 3, 20, 10, 30, tzinfo=UTC)
_APART = timedelta(days=9, hours=5, minutes=17, seconds=41, microseconds=123457)
_ZIP_DATE = (2026, 3, 20, 10, 30, 0)
_SECOND_NS = 10**9
_WAVE_RATE = 16_000
_TONE_HZ = 440


def write_samples(folder: Path) -> None:
    """Write the samples that are not yet in `folder`, which is made if need be.

    Raises:
        OSError: the folder cannot be written to.
    """
    for index, (path, content) in enumerate(_samples().items()):
        file = folder / path
        if file.exists():
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        moment = _FIRST + index * _APART
        moment_ns = int(moment.timestamp()) * _SECOND_NS + moment.microsecond * 1000
        os.utime(file, ns=(moment_ns, moment_ns))


def _samples() -> dict[str, bytes]:
    return {
        "checkout-flow.docx": _document(),
        "test-report.pdf": _report(),
        "login-page.png": _picture(),
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


def _document() -> bytes:
    document = docx.Document()
    document.add_heading("Checkout flow", level=1)
    for step in ("Open the shop.", "Put two mugs into the cart.", "Pay by card.", "Expect a receipt."):
        document.add_paragraph(step, style="List Number")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Browser", "Chromium"
    written = io.BytesIO()
    document.save(written)
    with zipfile.ZipFile(written) as package:
        return _zipped({name: package.read(name) for name in package.namelist()})


def _report() -> bytes:
    report = fpdf.FPDF()
    report.set_creation_date(_FIRST)
    report.set_font("Helvetica", size=16)
    for title, text in (
        ("Test report", "42 passed, 1 flaky, 0 failed."),
        ("Flaky tests", "checkout > pays by card"),
    ):
        report.add_page()
        report.cell(text=title, new_x="LMARGIN", new_y="NEXT")
        report.cell(text=text)
    return bytes(report.output())


def _picture() -> bytes:
    picture = Image.new("RGB", (480, 320), "#f4f4f8")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((120, 60, 360, 260), fill="white", outline="#b0b0c0")
    draw.rectangle((150, 110, 330, 140), outline="#8080a0")
    draw.rectangle((150, 160, 330, 190), outline="#8080a0")
    draw.rectangle((150, 210, 330, 240), fill="#3355cc")
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()


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
    return _zipped(
        {
            "fixtures/cart.json": b'{"items": [{"sku": "mug", "quantity": 2}]}\n',
            "fixtures/address.json": b'{"city": "Utrecht", "country": "NL"}\n',
        }
    )


def _zipped(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), content, zipfile.ZIP_DEFLATED)
    return written.getvalue()
