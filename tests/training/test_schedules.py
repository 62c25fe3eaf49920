import math
from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from mfif.training.schedules import warmup_cosine


def rates(build, steps, rate=0.1):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    scheduler = build(optimizer)
    found = []
    for _ in range(steps):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return found


def test_refuses():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    with pytest.raises(ValueError, match="Expected `total_steps` to be positive, got -1"):
        warmup_cosine(optimizer, -1)
    for warmup in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"Expected `warmup` to be in \[0, 1\)"):
            warmup_cosine(optimizer, 10, warmup)


def test_values_by_hand():
    found = rates(partial(warmup_cosine, total_steps=8, warmup=0.5), 10)
    half = 0.1 * (1 + math.sqrt(0.5)) / 2
    assert found == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, half, 0.05, 0.1 - half, 0, 0])


def test_without_warm_up_it_is_torch_s():
    build = partial(CosineAnnealingLR, T_max=50)
    assert rates(partial(warmup_cosine, total_steps=50, warmup=0.0), 51) == pytest.approx(rates(build, 51))


def test_with_warm_up_it_is_torch_s_in_sequence():
    def build(optimizer):
        up = LinearLR(optimizer, start_factor=1 / 10, total_iters=9)
        return SequentialLR(optimizer, [up, CosineAnnealingLR(optimizer, T_max=90)], milestones=[10])

    assert rates(partial(warmup_cosine, total_steps=100, warmup=0.1), 100) == pytest.approx(rates(build, 100))


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 0.99])
def test_the_shortest_trainings(total, warmup):
    assert all(0 <= rate <= 0.1 for rate in rates(partial(warmup_cosine, total_steps=total, warmup=warmup), 5))


def test_state_can_be_taken_up(tmp_path):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = warmup_cosine(optimizer, 20, 0.2)
    for _ in range(7):
        optimizer.step()
        scheduler.step()
    torch.save(scheduler.state_dict(), tmp_path / "state.pt")
    other = warmup_cosine(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1), 20, 0.2)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    other.optimizer.step()
    other.step()
    scheduler.step()
    assert other.get_last_lr() == scheduler.get_last_lr()
