import shutil

import pytest
import torch

from mfif.metrics.functional import compiled, computing_in, q_g, viff
from mfif.metrics.functional.compiling import compilable


@pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("metric", [q_g, viff])
def test_compiled_scores_are_the_same(metric):
    generator = torch.Generator().manual_seed(0)
    images = [torch.randint(256, (2, 1, 60, 53), generator=generator) / 255 for _ in range(3)]
    with computing_in(torch.float64):
        eager = metric(*images)
        with compiled():
            fast = metric(*images)
    torch.testing.assert_close(fast, eager, rtol=1e-9, atol=0)


def test_nothing_is_compiled_unless_wanted(monkeypatch):
    asked = []

    def compile_instead(formula, **_):
        asked.append(formula)
        return lambda x: x + 100

    monkeypatch.setattr(torch, "compile", compile_instead)
    formula = compilable(lambda x: x + 1)
    assert formula(torch.tensor(1)) == 2
    assert asked == []
    with compiled():
        assert formula(torch.tensor(1)) == 101
        assert formula(torch.tensor(2)) == 102
    assert formula(torch.tensor(1)) == 2
    assert len(asked) == 1
