import csv
import math
from pathlib import Path

import pytest

from mfif.metrics import CE, EN, PSNR
from mfif.report.files import Report
from mfif.report.scores import Row


@pytest.fixture
def report(tmp_path: Path) -> Report:
    published = {"old": {"EN": 6.5}, "gf": {"EN": 7.25}}
    report = Report(tmp_path, {"EN": EN(), "CE": CE(), "PSNR": PSNR()}, published, reference_points=["source_a"])
    report.scores.rows += [
        Row("lytro", "1", "gf", {"EN": 7.0, "CE": 0.4, "seconds": 1.0, "peak_mb": 100.0}),
        Row("lytro", "1", "bf", {"EN": 7.5, "CE": 0.3, "seconds": 2.0}),
        Row("lytro", "1", "im", {"EN": 9.0, "CE": 0.2, "seconds": 3.0}),
        Row("lytro", "1", "source_a", {"EN": 9.9, "CE": 0.1, "seconds": 0.1}),
        Row("gray", "2", "gf", {"EN": 8.0, "CE": 0.4, "seconds": 1.0, "peak_mb": 200.0}),
        Row("gray", "2", "bf", {"EN": 6.5, "CE": 0.5, "seconds": 2.0}),
        Row("gray", "2", "im", error="no memory"),
        Row("gray", "2", "source_a", {"EN": 9.9, "CE": math.nan, "seconds": 0.1}),
    ]
    return report


def test_means_are_marked_in_each_benchmark(report: Report) -> None:
    means = report.tables()[0]
    cells = {(row[0], row[1]): (index, row) for index, row in enumerate(means.rows)}
    column = {name: list(means.header).index(name) for name in means.header}

    def mark(benchmark: str, method: str, name: str) -> str | None:
        return means.marks.get((cells[benchmark, method][0], column[name]))

    assert (mark("lytro", "im", "EN"), mark("lytro", "bf", "EN"), mark("lytro", "gf", "EN")) == ("best", "second", None)
    assert (mark("lytro", "im", "CE"), mark("lytro", "bf", "CE")) == ("best", "second")  # lower is better
    assert (mark("gray", "gf", "EN"), mark("gray", "bf", "EN")) == ("best", "second")
    # The mean of a method that failed on a pair is of other pairs, and reference points are no candidates.
    assert mark("all", "im", "EN") is None
    assert mark("all", "gf", "EN") == "best"
    assert all(mark(benchmark, "source_a", "EN") is None for benchmark in ("lytro", "gray", "all"))
    assert all(mark("lytro", method, "seconds") is None for method in ("gf", "bf"))
    assert cells["all", "im"][1][2] == "1"
    assert cells["all", "gf"][1][column["EN"]] == "7.5000"
    assert cells["all", "gf"][1][column["peak_mb"]] == "150"


def test_published_rows_stand_beside_ours(report: Report) -> None:
    table = report.tables()[1]
    assert table.header == ["method", "EN", "published", "difference"]
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["gf"] == ["7.5000", "7.250", "+0.2500"]
    assert rows["old"] == ["", "6.500", ""]
    assert rows["bf"] == ["7.0000", "", ""]
    assert "all" in table.title


def test_failures_are_in_their_cells(report: Report) -> None:
    table = next(table for table in report.image_tables() if table.title.startswith("EN"))
    assert table.header == ["benchmark", "pair", "gf", "bf", "im", "source_a"]
    assert table.rows[1] == ["gray", "2", "8.0000", "6.5000", "error", "9.9000"]
    assert table.rows[-1] == ["mean", "", "7.5000", "7.0000", "9.0000", "9.9000"]
    assert table.marks == {(0, 4): "best", (0, 3): "second", (1, 2): "best", (1, 3): "second"}


def test_files(report: Report, tmp_path: Path) -> None:
    report.write_scores()
    report.write_tables(["a note"])
    names = [
        "images.md",
        "images.tex",
        "means.csv",
        "pairwise.md",
        "pairwise.tex",
        "scores.csv",
        "summary.md",
        "summary.tex",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    summary = (tmp_path / "summary.md").read_text()
    assert summary.count("| --- |") == 2
    assert (
        "- Best bold, second best italic (underlined in LaTeX); not ranked, as reference points: source_a." in summary
    )
    assert summary.splitlines()[-3:] == [
        "- a note",
        "- error: 2 (gray, im): no memory",
        "- CE is undefined for 2 (gray, source_a); it is not in the mean.",
    ]
    assert (tmp_path / "images.md").read_text().count("of each pair:") == 4
    assert (tmp_path / "images.tex").read_text().count(r"\begin{tabular}") == 4
    assert (tmp_path / "pairwise.md").read_text().count("pairs won and lost") == 2
    with (tmp_path / "means.csv").open(newline="") as file:
        rows = {(row["benchmark"], row["method"]): row for row in csv.DictReader(file)}
    assert rows["all", "gf"]["EN published"] == "7.25"
    assert float(rows["all", "gf"]["EN difference"]) == 0.25
    assert rows["lytro", "gf"]["EN published"] == ""
    assert (rows["all", "old"]["pairs"], rows["all", "old"]["EN published"]) == ("0", "6.5")


def test_agreement_is_shown_where_the_truth_is_known(report: Report) -> None:
    assert len(report.tables()) == 2
    for index, row in enumerate(report.scores.rows):
        row.scores["PSNR"] = float(index)
    assert report.tables()[-1].title.startswith("Agreement with the truth")
