"""Sample documents that need a library to be written; the same bytes on every run."""

import io
import zipfile
from collections.abc import Callable, Mapping

import docx
import fpdf
from PIL import Image, ImageDraw

from empirical_fs.sandbox.zipped import FIRST, zipped


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
        return zipped({name: package.read(name) for name in package.namelist()})


def _report() -> bytes:
    report = fpdf.FPDF()
    report.set_creation_date(FIRST)
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


DOCUMENTS: Mapping[str, Callable[[], bytes]] = {
    "checkout-flow.docx": _document,
    "test-report.pdf": _report,
    "login-page.png": _picture,
}
