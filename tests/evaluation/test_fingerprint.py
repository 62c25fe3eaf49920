import importlib
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from mfif.classical import ConstantMap, LaplacianEnergy
from mfif.evaluation.fingerprint import _imported, fingerprint
from mfif.fusion.fusers import Fuser, IdealFuser
from mfif.fusion.refine import RemoveSmallRegions
from mfif.metrics import QTE, MapAccuracy
from mfif.models import TwoStream


@dataclass(frozen=True)
class Setting:
    value: object


def network(seed: int = 0, **arguments: object) -> TwoStream:
    torch.manual_seed(seed)
    return TwoStream(width=4, **arguments)  # type: ignore[arg-type]


DIFFERENT = [
    (1, 1.0),
    (1, True),
    ("ab", b"ab"),
    (["ab", "c"], ["a", "bc"]),
    ([[1], 2], [1, [2]]),
    ((1, 2), [1, 2]),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    (None, "None"),
    (Path("a"), "a"),
    (torch.zeros(2, 3), torch.zeros(3, 2)),
    (torch.zeros(2), torch.zeros(2).double()),
    (torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])),
    (np.zeros(2, np.uint8), np.zeros(2, np.uint16)),
    ({1, 2}, {1, 3}),
    (torch.float32, torch.float64),
    (Setting(1), Setting(2)),
    (partial(int, base=2), partial(int, base=3)),
    (np.sum, np.prod),
    (network(0), network(1)),
    (network(0), network(0, squash="clamp")),
    (Fuser(ConstantMap(0.5)), Fuser(ConstantMap(0.5), threshold=None)),
    (Fuser(LaplacianEnergy()), Fuser(LaplacianEnergy(), refine=RemoveSmallRegions())),
    (IdealFuser(), IdealFuser(torch.ones(1, 1, 2, 2))),
    (QTE(), QTE(variant="nava")),
    (QTE(), MapAccuracy()),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_things_differ(one: object, other: object) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_equal_things_agree() -> None:
    assert fingerprint(Fuser(network())) == fingerprint(Fuser(network()))
    assert fingerprint({3, 1, 2}) == fingerprint({2, 3, 1})
    assert fingerprint(torch.ones(4, 6)[:, ::2]) == fingerprint(torch.ones(4, 3))
    assert fingerprint(1, 2) != fingerprint((1, 2))


def test_another_process_agrees(root: Path) -> None:
    code = (
        "from mfif.evaluation.fingerprint import fingerprint; from mfif.fusion.fusers import Fuser;"
        "from mfif.metrics import QTE;"
        "from mfif.classical import LaplacianEnergy; print(fingerprint(Fuser(LaplacianEnergy(2.0)), QTE(), {'a', 'b'}))"
    )
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    assert said == fingerprint(Fuser(LaplacianEnergy(2.0)), QTE(), {"a", "b"})


def test_a_method_does_not_depend_on_its_siblings() -> None:
    assert _imported("mfif.classical.reference") == {"mfif.classical.reference"}
    below = {
        "errors",
        "guided",
        "pair",
        "regions",
        *(f"fusion.{room}" for room in ("fusers", "levels", "refine", "scales", "self_ensemble", "tiles")),
    }
    assert _imported("mfif.fusion.fusers") == {f"mfif.{module}" for module in below}
    scoring = _imported("mfif.metrics.perception")
    assert {"mfif.metrics.fusion", "mfif.metrics.functional.q_cb", "mfif.pair"} <= scoring
    assert not {"mfif.metrics", "mfif.metrics.functional", "mfif.metrics.functional.fmi"} & scoring


def test_changed_code_is_another_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    found = []
    for body in ("return a", "return b", "return a"):
        (tmp_path / "some_method.py").write_text(f"class Some:\n    def __call__(self, a, b):\n        {body}\n")
        importlib.invalidate_caches()
        sys.modules.pop("some_method", None)
        fingerprint.__globals__["_source"].cache_clear()
        found.append(fingerprint(importlib.import_module("some_method").Some()))
    sys.modules.pop("some_method")
    assert found[0] == found[2] != found[1]
