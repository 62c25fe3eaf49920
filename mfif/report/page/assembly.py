"""The page put together of what it says, what it shows, and the files in ``assets``."""

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

from mfif.errors import InputError
from mfif.files import replacing
from mfif.images import image_size
from mfif.report.files import Report
from mfif.report.page.content import Content, page_content
from mfif.report.page.embedding import Level, embed
from mfif.report.page.shown import shown_pictures

LARGEST_PAGE = 19_000_000
"""Bytes of a page, pictures included."""

_ASSETS = Path(__file__).parent / "assets"
_SCRIPTS = ("elements.js", "tables.js", "plots.js", "gestures.js", "compare.js", "page.js")


def write_page(report: Report, notes: Sequence[str] = ()) -> None:
    """Write ``report.html`` into the folder of an evaluation, and ``report.json``: all of it but the pictures.

    Args:
        report: Tables and scores; the pictures are those in its folder.
        notes: Shown between the legend and the notes of the scores.

    Raises:
        InputError: A picture cannot be read, or the disk has no room.
    """
    with replacing(report.output / "report.json") as temporary:
        temporary.write_text(json.dumps(page_content(report, notes), indent=1), encoding="utf-8")
    rewrite_page(report.output)


def rewrite_page(folder: Path, largest: int = LARGEST_PAGE) -> None:
    """Write ``report.html`` from the ``report.json`` and the pictures of a finished evaluation.

    Args:
        folder: Of the evaluation.
        largest: Bytes that the page may have; pictures are reduced until it fits.

    Raises:
        InputError: The folder has no ``report.json``, a picture cannot be read, or the disk has no room.
    """
    try:
        content: Content = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"Expected {folder} to be the folder of a finished evaluation, with its report.json: {error}."
        ) from error
    files: dict[Path, int] = {}
    for pair in content["pairs"]:
        pair |= shown_pictures(folder / pair["benchmark"], pair["name"], pair["methods"], files)
    content["pictures"] = []
    if files:
        content["pictures"], level = embed(list(files), largest - len(_html(content)) - 4 * len(files) - 1000)
        content["notes"].append(_note(level, files))
    with replacing(folder / "report.html") as temporary:
        temporary.write_text(_html(content), encoding="utf-8")


def _note(level: Level, files: Iterable[Path]) -> str:
    """What the pictures have lost on their way into the page."""
    largest = max(side for file in files for side in image_size(file))
    quality = (
        "without loss"
        if level.quality is None
        else f"as WebP of quality {level.quality} (maps of two levels without loss)"
    )
    size = (
        "in full size" if level.side >= largest else f"reduced: {level.side} pixels for the longest side of {largest}"
    )
    return (
        f"The pictures are in this page {quality}, {size}; the originals are in the folder of the evaluation. A result "
        "that is the sources weighted by its map is put together of them by the page."
    )


def _html(content: Content) -> str:
    style = (_ASSETS / "page.css").read_text(encoding="utf-8")
    script = "\n".join((_ASSETS / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    return Template((_ASSETS / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(content["title"]),
        # Nothing is loaded from anywhere, and nothing runs but what the digests name.
        policy=f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'",
        style=style,
        script=script,
        # Inside <script> this is the only sign that could end it or begin a comment. All is ASCII.
        content=json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"),
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
