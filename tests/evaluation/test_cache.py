import math
from pathlib import Path

import pytest
import torch

from mfif.evaluation.cache import Cache, Fused
from mfif.evaluation.measure import Cost
from mfif.fusion.fusers import Fusion


@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16])
@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("peak_mb", [12.5, None])
def test_what_is_kept_comes_back(tmp_path: Path, kind: torch.dtype, mapped: bool, peak_mb: float | None) -> None:
    image = torch.arange(24).reshape(1, 3, 2, 4).to(kind)
    decision = torch.rand(1, 1, 2, 4) if mapped else None
    cache = Cache(tmp_path)
    assert cache.fused("key") is None
    cache.keep_fused("key", Fused(Fusion(image, decision), Cost(0.1, peak_mb)))
    (back, back_map), cost = Cache(tmp_path).fused("key") or pytest.fail("lost")
    assert back.dtype == kind
    assert torch.equal(back, image)
    assert cost == Cost(0.1, peak_mb)
    assert back_map is None if decision is None else torch.equal(back_map, decision)


def test_scores_keep_every_digit(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.scores("key") == {}
    cache.keep_scores("key", {"a": 0.1 + 0.2, "b": math.nan, "c": math.inf})
    back = cache.scores("key")
    assert back["a"] == 0.1 + 0.2
    assert math.isnan(back["b"])
    assert back["c"] == math.inf


def test_without_a_folder_nothing_is_kept() -> None:
    cache = Cache(None)
    cache.keep_fused("key", Fused(Fusion(torch.zeros(1, 1, 1, 1), None), Cost(1, 1)))
    cache.keep_scores("key", {"a": 1})
    assert cache.fused("key") is None
    assert cache.scores("key") == {}


def test_damaged_files_count_as_absent(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.keep_fused("key", Fused(Fusion(torch.zeros(1, 1, 9, 9), None), Cost(1, 1)))
    cache.keep_scores("key", {"a": 1})
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        for content in (path.read_bytes()[:-3], b"", b"["):
            path.write_bytes(content)
            if path.suffix == ".npz":
                assert cache.fused("key") is None
            else:
                assert cache.scores("key") == {}
