import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from mfif.errors import InputError
from mfif.report.page import rewrite_page
from mfif.report.page.__main__ import main


def content(page: str) -> dict[str, object]:
    """The data of a page, as a parser of HTML finds them: up to whatever ends a script first."""
    found = re.search(r'<script type="application/json" id="content">(.*?)</script', page, re.DOTALL | re.IGNORECASE)
    assert found is not None
    return json.loads(found[1])


def test_all_of_it_is_inside(evaluated: Path) -> None:
    page = (evaluated / "report.html").read_text(encoding="utf-8")
    assert not re.search(
        r"""(src|href)\s*=\s*["']?(?!#)[^"'\s>]""", page.replace("<img src=x>", "").split("<script")[0]
    )
    data = content(page)
    kept = json.loads((evaluated / "report.json").read_text(encoding="utf-8"))
    assert {key: data[key] for key in kept if key not in ("pairs", "notes")} == {
        key: kept[key] for key in kept if key not in ("pairs", "notes")
    }
    assert data["notes"][:-1] == kept["notes"]
    assert data["notes"][-1].startswith("The pictures are in this page without loss, in full size")
    # 2 sources, 2 maps and 1 image of each pair; the fused images of two methods are put together.
    assert len(data["pictures"]) == 3 * 5
    assert page.count("<script") == 2
    assert "\\u003cscript" in page


def test_only_its_own_code_runs(evaluated: Path) -> None:
    page = (evaluated / "report.html").read_text(encoding="utf-8")
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in page
    assert "default-src 'none'; img-src data:;" in page


def test_it_is_made_again(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = evaluated / "report.html"
    first = page.read_bytes()
    page.unlink()
    assert main([str(evaluated)]) == 0
    assert page.read_bytes() == first
    assert "report.html" in capsys.readouterr().out


def test_it_keeps_within_its_size_and_says_so(evaluated: Path) -> None:
    page = evaluated / "report.html"
    first = page.read_bytes()
    largest = len(first) - 60_000
    rewrite_page(evaluated, largest)
    try:
        assert len(page.read_bytes()) <= largest
        note = content(page.read_text(encoding="utf-8"))["notes"][-1]
        assert "as WebP of quality" in note
    finally:
        page.write_bytes(first)


def test_a_folder_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"folder of a finished evaluation"):
        rewrite_page(tmp_path)
    assert main([str(tmp_path)]) == 1
    assert "report.json" in capsys.readouterr().err
