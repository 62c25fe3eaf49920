import json
from pathlib import Path

import pytest

from mfif.metrics import CE, EN, SCD
from mfif.report.files import Report
from mfif.report.page.content import page_content
from mfif.report.scores import Row


@pytest.fixture
def report(tmp_path: Path) -> Report:
    report = Report(tmp_path / "name", {"EN": EN(), "CE": CE(), "SCD": SCD()}, {"gf": {"EN": 7.25}})
    report.scores.rows += [
        Row("x", "1", "gf", {"EN": 7.0, "CE": 0.4, "SCD": 1.0, "seconds": 1.0}),
        Row("x", "1", "bf", {"EN": 7.5, "CE": 0.3, "SCD": 1.0, "seconds": 2.0}),
        Row("y", "1", "gf", {"EN": 8.0, "CE": 0.4, "SCD": 1.0, "seconds": 1.0}),
        Row("y", "1", "bf", error="no memory"),
    ]
    return report


def test_it_is_data(report: Report) -> None:
    content = page_content(report, ["a note"])
    assert json.loads(json.dumps(content))["title"] == "name"
    assert content["names"] == ["EN", "CE", "SCD", "seconds"]
    better = {"EN": "higher", "CE": "lower", "SCD": "higher", "seconds": "lower", "peak_mb": "lower"}
    assert content["better"] == better
    assert "a note" in content["notes"]
    assert "error: 1 (y, bf): no memory" in content["notes"]


def test_means_have_a_table_for_each_benchmark(report: Report) -> None:
    content = page_content(report, [])
    assert [table["title"] for table in content["groups"]] == ["x", "y", "all"]
    x = content["groups"][0]
    assert x["header"][:3] == ["method", "pairs", "EN"]
    assert [row[:4] for row in x["rows"]] == [
        [("gf", ""), ("1", ""), ("7.0000", "second"), ("0.4000", "second")],
        [("bf", ""), ("1", ""), ("7.5000", "best"), ("0.3000", "best")],
    ]
    assert [table["title"] for table in content["tables"]] == ["Beside the published rows (all)"]
    assert [table["title"].split(":")[0] for table in content["pairwise"]] == [
        *("EN", "CE", "SCD"),
        "Pairs where a method falls furthest behind the best other",
    ]


def test_pairs_of_one_name_keep_apart(report: Report) -> None:
    """Each has its scores, marked among the methods on this pair."""
    one, two = page_content(report, [])["pairs"]
    assert (one["benchmark"], two["benchmark"]) == ("x", "y")
    assert one["scores"]["header"] == ["method", "EN", "CE", "SCD", "seconds"]
    assert one["scores"]["rows"][1][:3] == [("bf", ""), ("7.5000", "best"), ("0.3000", "best")]
    assert two["scores"]["rows"][1][1] == ("error", "")
    assert (one["errors"], two["errors"]) == ({}, {"bf": "no memory"})
