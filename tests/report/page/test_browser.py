"""What a person does with the page, done in a browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def page(browser: Any, evaluated: Path) -> Iterator[Any]:
    """The page, opened; it complains about nothing and loads nothing."""
    browser.open(evaluated / "report.html")
    yield browser
    assert browser.complaints == []
    assert set(browser.requests) == {(evaluated / "report.html").as_uri()}


def texts(page: Any, selector: str) -> list[str]:
    return page.run(f"[...document.querySelectorAll({json.dumps(selector)})].map(node => node.innerText.trim())")


def style(page: Any, selector: str, name: str) -> list[str]:
    nodes = f"[...document.querySelectorAll({json.dumps(selector)})]"
    return page.run(f"{nodes}.map(node => getComputedStyle(node).getPropertyValue({json.dumps(name)}))")


def choose(page: Any, name: str, value: str) -> None:
    page.click(f"[name={name}][value='{value}'] + span")


def fused(folder: Path, method: str) -> np.ndarray:
    return np.asarray(Image.open(folder / "one" / method / "1-fused.png")).astype(float)


def placed(page: Any, place: str) -> np.ndarray:
    """Magnification and offset of each picture, the latter as a share of its sides."""
    return np.array(
        page.run(
            f"""[...document.querySelectorAll('{place} .picture')].map(node => {{
              const [outer, inner] = [node.parentNode.getBoundingClientRect(), node.getBoundingClientRect()];
              const {{ width, height }} = outer;
              return [inner.width / width, (inner.left - outer.left) / width, (inner.top - outer.top) / height];
            }})"""
        )
    )


def in_natural_size(page: Any) -> None:
    """The stage as large as the pictures, on whole pixels and without labels."""
    page.run("document.querySelectorAll('.chip, .divider').forEach(node => node.remove())")
    style = "position: fixed; inset: 0 auto auto 0; margin: 0; width: 64px; z-index: 9"
    page.run(f"document.getElementById('stage').style = '{style}'")


def test_names_do_no_harm(page: Any, evaluated: Path) -> None:
    assert page.run("document.title") == f"{evaluated.name}: fusion report"
    assert "</script><script>document.title = 'taken'</script><!-- <script>" in texts(page, "#notes li")
    assert page.run("document.querySelectorAll('img[src=x], #pair b').length") == 0
    assert texts(page, "#pair option")[2].startswith("two / <b>\"x\" & 'y'")
    assert "<img src=x>" in texts(page, "#summary th")


def test_tables_sort_by_click_and_key(page: Any) -> None:
    table = "#summary .scroll:first-of-type"
    assert len(texts(page, "#summary caption")) == 3
    column = f"{table} tbody tr > :nth-child(3)"
    before = texts(page, column)
    assert len(before) == 4
    assert before[3] == ""  # that of the method that failed
    page.click(f"{table} th:nth-child(3) button")
    figures = [float(text.split()[0]) for text in before[:3]]
    shown = [float(text.split()[0]) for text in texts(page, column)[:3]]
    assert shown == sorted(figures, reverse=True) != sorted(figures)
    assert texts(page, column)[3] == ""
    assert page.run(f"document.querySelector('{table} th:nth-child(3)').ariaSort") == "descending"
    page.press("Enter")
    assert [float(text.split()[0]) for text in texts(page, column)[:3]] == sorted(figures)
    assert texts(page, column)[3] == ""
    assert page.run(f"document.querySelectorAll('{table} [aria-sort]').length") == 1
    # Of CE less is better, and names rise.
    page.click(f"{table} th:nth-child(4) button")
    assert page.run(f"document.querySelector('{table} th:nth-child(4)').ariaSort") == "ascending"
    page.click(f"{table} th:nth-child(1) button")
    assert texts(page, f"{table} tbody th") == sorted(texts(page, f"{table} tbody th"))


def test_methods_stand_against_each_other(page: Any) -> None:
    titles = texts(page, "#pairwise summary")
    assert len(titles) == len(texts(page, "#pairwise details"))
    assert any("pairs won and lost" in title for title in titles)
    assert not page.run("document.querySelector('#pairwise details').open")
    page.click("#pairwise summary")
    assert page.run("document.querySelector('#pairwise details').open")


def test_marks_are_told_without_colour(page: Any) -> None:
    best, second = texts(page, "#pair-scores .best"), texts(page, "#pair-scores .second")
    assert best
    assert all(text.endswith("(best)") for text in best)
    assert all(text.endswith("(second best)") for text in second)


def test_the_slider_moves_by_keys_and_mouse(page: Any) -> None:
    page.run("document.getElementById('split').focus()")
    right = "#stage [data-side=right]"
    before = style(page, right, "clip-path")
    page.press("ArrowRight", "ArrowRight")
    assert float(page.run("document.getElementById('split').value")) == 51
    assert style(page, right, "clip-path") == ["inset(0px 0px 0px 51%)"] != before
    width = page.run("document.getElementById('stage').clientWidth")
    page.drag(".divider", -0.26 * width, 0)
    assert float(page.run("document.getElementById('split').value")) == pytest.approx(25, abs=1)


def test_everything_moves_together(page: Any) -> None:
    page.run("document.getElementById('stage').focus()")
    page.press("+", "+", "ArrowRight", "ArrowDown")
    assert placed(page, "#stage") == pytest.approx(np.tile([2.25, -0.725, -0.725], (2, 1)), abs=1e-3)
    assert placed(page, "#gallery") == pytest.approx(np.tile([2.25, -0.725, -0.725], (5, 1)), abs=1e-3)
    width = page.run("document.querySelector('.tile .view').clientWidth")
    page.drag("#gallery .tile:nth-child(2) .view", 0.1 * width, 0)
    assert placed(page, "#stage") == pytest.approx(np.tile([2.25, -0.625, -0.725], (2, 1)), abs=1e-2)
    assert placed(page, "#gallery") == pytest.approx(np.tile([2.25, -0.625, -0.725], (5, 1)), abs=1e-2)
    page.run("document.getElementById('stage').focus()")
    page.press("0")
    assert set(style(page, ".picture", "transform")) == {"matrix(1, 0, 0, 1, 0, 0)"}


def test_any_two_can_be_chosen_and_stay_for_the_next_pair(page: Any) -> None:
    page.click("[aria-label='Show half on the left']")
    page.click("[aria-label='Show brightest on the right']")
    assert texts(page, "#stage .chip") == ["half", "brightest"]
    page.run("document.getElementById('next').focus()")
    page.press("Enter")
    assert texts(page, "#stage .chip") == ["half", "brightest"]
    assert texts(page, "#pair-scores caption") == ["Scores of 2"]
    page.click("#swap")
    assert texts(page, "#stage .chip") == ["brightest", "half"]
    page.run("document.getElementById('left').focus()")
    page.press("ArrowUp")
    assert texts(page, "#stage .chip") == ["mean: map", "half"]
    assert texts(page, "#gallery .failed") == ["RuntimeError: not <i>this</i> one\n\n<img src=x>"]


def test_flicker_by_key(page: Any) -> None:
    choose(page, "mode", "flicker")
    assert style(page, "#split", "display") == ["inline-block"]
    page.run("document.getElementById('stage').focus()")
    page.press(" ")
    assert page.run("document.getElementById('play').ariaPressed") == "false"
    first = texts(page, "#visible"), style(page, "#stage .view", "visibility")
    page.press(" ")
    second = texts(page, "#visible"), style(page, "#stage .view", "visibility")
    assert {first[0][0], second[0][0]} == {"source A", "half"}
    assert sorted(first[1]) == sorted(second[1]) == ["hidden", "visible"]
    assert first[1] != second[1]


@pytest.mark.parametrize("method", ["half", "mean", "brightest"])
def test_results_are_those_of_the_files(page: Any, evaluated: Path, method: str) -> None:
    """Those put together by the page too."""
    page.click(f"[aria-label='Show {method} on the left']")
    page.click(f"[aria-label='Show {method} on the right']")
    in_natural_size(page)
    assert np.abs(page.pixels("#stage") - fused(evaluated, method)).max() <= 1


def test_differences_are_those_of_the_formula(page: Any, evaluated: Path) -> None:
    source = np.asarray(Image.open(evaluated / "one" / "1-A.png")).astype(float)
    choose(page, "mode", "difference")
    page.click("[aria-label='Show brightest on the right']")
    in_natural_size(page)
    for gain in (1, 4):
        page.run(f"document.getElementById('gain').value = '{gain}'")
        page.run("document.getElementById('gain').dispatchEvent(new Event('change'))")
        expected = 127.5 + gain * (fused(evaluated, "brightest") - source) / 2
        assert np.abs(page.pixels("#stage") - expected.clip(0, 255)).max() <= 2 * gain
    choose(page, "show", "source A")
    tile = page.pixels("#gallery .tile:first-child .view")  # half is source A on the left
    assert np.abs(tile[:, : int(0.28 * tile.shape[1])].astype(int) - 128).max() <= 8


def test_plots(page: Any) -> None:
    labels = page.run(
        "[...document.querySelectorAll('details[open] svg')].map(node => node.getAttribute('aria-label'))"
    )
    assert [label.split(":")[0] for label in labels] == ["EN", "CE", "seconds", "peak_mb"][: len(labels)]
    mean = next(
        row for row in texts(page, "#summary .scroll:last-of-type tbody tr") if row.startswith("brightest")
    ).split()
    told = next(part for part in labels[0].split(", ") if part.startswith("brightest"))
    assert float(told.split()[1]) == pytest.approx(float(mean[2]), abs=1e-3)
    dots = page.run("[...document.querySelectorAll('details[open] .dots')].map(node => node.getAttribute('d'))")
    assert {path.count("M") for path in dots} == {3}


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_scrolls_in_one_direction(browser: Any, evaluated: Path, width: int) -> None:
    browser.open(evaluated / "report.html", width, 844)
    for mode in ("slider", "flicker", "difference", "beside"):
        choose(browser, "mode", mode)
        assert browser.run("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
    choose(browser, "mode", "difference")


def test_light_and_dark(browser: Any, evaluated: Path) -> None:
    for scheme, dark in (("light", False), ("dark", True)):
        browser.open(evaluated / "report.html", scheme=scheme)
        paper = browser.pixels("#summary").mean()
        assert paper < 60 if dark else paper > 200
    assert browser.complaints == []
