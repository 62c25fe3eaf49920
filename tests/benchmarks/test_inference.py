"""The naive fusion that ours is measured against gives the same image, and every method is measured."""

from pathlib import Path

import numpy as np
import torch

import mfif
from mfif.fusion.fusers import Fuser
from mfif.fusion.loading import method_names
from mfif.models import TwoStream


def test_naive_and_public_call_agree(root: Path) -> None:
    from benchmarks.inference import naive, photographs

    pair = photographs(96)
    torch.manual_seed(0)
    network = TwoStream(width=8).eval()
    ours = mfif.fuse(pair, Fuser(network.to(memory_format=torch.channels_last), tile=40), tile=40, device="cpu")
    simple = naive(network, [pair[number] for number in ours.order], "cpu")()
    levels = (255 * simple[0].detach()).round().movedim(0, -1).numpy().astype(np.uint8)
    # Sums in another order may flip a pixel whose map lies at the threshold.
    assert np.mean(ours.image != levels) < 1e-3
    assert ours.decision is not None
    assert 0 < np.mean(ours.decision) < 1


def test_streams_that_share_weights_are_passed_one_after_the_other(root: Path) -> None:
    from benchmarks.inference import separate_streams

    network = TwoStream(width=4).eval()
    batches: list[int] = []
    apart = separate_streams(network)
    apart.stream_a.register_forward_hook(lambda _, given, __: batches.append(len(given[0])))
    a, b = torch.rand(2, 1, 1, 20, 20)
    torch.testing.assert_close(apart(a, b), network(a, b), rtol=0, atol=1e-6)
    assert batches == [1, 1]


def test_every_method_of_the_group_is_measured(root: Path) -> None:
    from benchmarks.inference import LEFT_OUT, measure, methods, photographs

    found = methods("cpu")
    assert set(method_names()) - set(LEFT_OUT) < set(found)
    row = measure("default", found["default"], photographs(48), "cpu", repeats=1)
    assert row["ms"] > 0
    row = measure("network", Fuser(TwoStream(width=4).eval()), photographs(48), "cpu", repeats=1)
    assert {"ms", "naive_ratio", "share_of_peak"} <= row.keys()
    assert row["gflop"] * 1e9 == 2 * 48 * 48 * work_per_pixel(4)


def work_per_pixel(width: int) -> int:
    """Multiply-adds of the network: both streams, E, F (with M), G (with C and D) and the map."""
    streams = 2 * (9 * width + 4 * 9 * width * width)
    return streams + 9 * width * width + 9 * (width + 1) * width + 9 * 5 * width * (width // 2) + 9 * (width // 2)
