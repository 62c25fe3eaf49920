"""All of mfif on a device that is not the CPU, as far as that can be shown without one: `tests/elsewhere.py`."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, shift
from torch.utils import backend_registration

from mfif.images import read_image, write_image

pytestmark = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="needs a torch that takes devices written in Python, as 2.13 does",
)
HERE, THERE = "cpu", "elsewhere"
PROGRAM = Path(__file__).with_name("elsewhere.py")
TINY = ["photos=folder", "network.width=4", "data.crops=16", "data.crop=32", "data.batch_size=4", "data.val_pairs=4"]
QUIET = ["logger=csv", "trainer.log_every_n_steps=100", "~callbacks.curves"]
FUSING = {
    "default": ["--decision-map", "{out}-map.png"],
    "fast": ["--align", "translation", "--exposure", "--refine", "small_regions", "--blend-width", "2"],
    "paper": ["--refine", "guided_filter", "--tile", "64"],
    "pyramid": [],
    "gf": [],
    "im": [],
    "dsift": ["--depth-preview", "{out}-depth.png"],
    "bf": ["--index-map", "{out}-index.png"],
}


class Done(NamedTuple):
    """Where the program wrote, and what it said of each command by name."""

    folder: Path
    said: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def done(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Everything on both devices, in one process, for the imports take the most of it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    sharp = read_image(next(iter(sorted(photos.iterdir()))))[:60, :72]
    blurred = gaussian_filter(sharp, (2, 2, 0))
    left = (np.arange(72) < 36)[None, :, None]
    (folder / "pair").mkdir()
    pair = [folder / "pair" / name for name in ("x-A.png", "x-B.png")]
    write_image(pair[0], np.where(left, sharp, blurred))
    write_image(pair[1], shift(np.where(left, blurred, sharp), (1, 2, 0), order=0, mode="nearest"))

    def training(device: str, name: str, *words: str, steps: int = 2) -> list[str]:
        length = [f"trainer.max_steps={steps}", f"trainer.val_check_interval={steps}"]
        folders = [f"photos.root={photos}", f"output={folder}/{name}"]
        return ["train", device, *TINY, *QUIET, *length, *folders, *words]

    context = ["experiment=context", "averaging=ema", "metrics=all"]
    scoring = ["method=[default,gf]", "benchmark=folder", f"benchmark.root={folder}/pair", "cache=null", "workers=1"]
    commands = {
        "train here": training(HERE, "here", *context),
        "train there": training(THERE, "there", *context),
        "short": training(THERE, "short", "experiment=context", "averaging=ema"),
        "long": training(THERE, "long", "experiment=context", "averaging=ema", steps=5),
        **{name: training(THERE, name, f"experiment={name}", steps=1) for name in ("cnn", "pcnn", "mfnet")},
    }
    for device in (HERE, THERE):
        commands[f"score {device}"] = ["evaluate", device, *scoring, f"hydra.run.dir={folder}/scores-{device}"]
        for method, words in FUSING.items():
            out = folder / device / method
            fusing = ["mfif", device, "fuse", *map(str, pair), "-o", f"{out}.png", "--method", method]
            commands[f"{method} {device}"] = [*fusing, *(word.format(out=out) for word in words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, PROGRAM],
        input=json.dumps(list(commands.values())),
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    said = dict(zip(commands, json.loads(ended.stdout.splitlines()[-1]), strict=True))
    assert {name for name, part in said.items() if part["status"]} == set(), ended.stdout[-2000:] + ended.stderr[-4000:]
    return Done(folder, said)


def test_training_has_the_weights_of_the_cpu(done: Done) -> None:
    assert done.said["train here"]["operations"] == 0
    assert done.said["train there"]["operations"] > 1000
    here, there = (
        torch.load(done.folder / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("here", "there")
    )
    assert here.keys() == there.keys()
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_more_iterations_wait_for_nothing_more(done: Done) -> None:
    short, long = done.said["short"], done.said["long"]
    assert long["operations"] > short["operations"] + 1000
    assert long["waits"] == short["waits"]


@pytest.mark.parametrize("experiment", ["cnn", "pcnn", "mfnet"])
def test_training_of_other_methods(done: Done, experiment: str) -> None:
    assert done.said[experiment]["operations"] > 500


@pytest.mark.parametrize("method", FUSING)
def test_fusing_gives_the_files_of_the_cpu(done: Done, method: str) -> None:
    assert done.said[f"{method} {HERE}"]["operations"] == 0
    assert done.said[f"{method} {THERE}"]["operations"] > 10
    files = sorted((done.folder / HERE).glob(f"{method}*"))
    assert len(files) == 1 + any("{out}" in word for word in FUSING[method])
    for path in files:
        assert path.read_bytes() == (done.folder / THERE / path.name).read_bytes()


def test_evaluation_gives_the_scores_of_the_cpu(done: Done) -> None:
    here, there = (
        list(csv.DictReader((done.folder / f"scores-{device}" / "scores.csv").open())) for device in (HERE, THERE)
    )
    assert len(here) == len(there) == 2
    for one, other in zip(here, there, strict=True):
        assert all(one[name] == other[name] for name in one if name not in ("seconds", "peak_mb"))


def test_mixed_devices_and_waits_show(tmp_path: Path) -> None:
    # Of the device itself: what CUDA refuses it refuses, and what CUDA waits for it counts.
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import sys
sys.path.insert(0, {str(PROGRAM.parent)!r})
import torch, elsewhere
ones = torch.ones(3, device=elsewhere.DEVICE)
two = torch.tensor(2.0)
assert (ones + two).tolist() == [3, 3, 3]
for mixed in (lambda: ones + torch.ones(3), lambda: torch.stack([ones, torch.ones(3)]), lambda: ones.numpy()):
    try:
        mixed()
    except (RuntimeError, TypeError):
        continue
    raise AssertionError("Expected a refusal.")
elsewhere.waits.clear()
torch.ones(3).to(elsewhere.DEVICE, non_blocking=True)
ones.to("cpu", non_blocking=True)
assert not elsewhere.waits
for number, waiting in enumerate((lambda: ones.sum().item(), lambda: ones.cpu(), lambda: two.to(elsewhere.DEVICE)), 1):
    waiting()
    assert sum(elsewhere.waits.values()) == number
"""
    )
    subprocess.run([sys.executable, script], check=True)
