"""Training from the command line: what it writes, and that a killed run goes on as if never stopped."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

QUICK = [
    "experiment=quick",
    "photos=folder",
    "network.width=4",
    "data.crops=20",
    "data.crop=32",
    "data.batch_size=4",
    "data.val_pairs=6",
    "trainer.accelerator=cpu",
    "trainer.max_steps=24",
    "trainer.val_check_interval=4",
    "trainer.log_every_n_steps=2",
]


def command(root: Path, photos: Path, output: Path, *arguments: str) -> list[str]:
    own = [f"photos.root={photos}", f"hydra.run.dir={output}", *arguments]
    return [sys.executable, str(root / "train.py"), *QUICK, *own]


def train(root: Path, photos: Path, output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command(root, photos, output, *arguments), capture_output=True, text=True, check=False, env=environment
    )


def weights(output: Path) -> dict[str, torch.Tensor]:
    content = torch.load(output / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["global_step"] == 24
    optimizer = content["optimizer_states"][0]["state"]
    moments = {f"{key}.{name}": value for key, state in optimizer.items() for name, value in state.items()}
    return {**content["state_dict"], **moments}


@pytest.fixture(scope="module")
def uninterrupted(root: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    output = tmp_path_factory.mktemp("run") / "uninterrupted"
    done = train(root, photos, output)
    assert done.returncode == 0, done.stderr
    return output, done.stdout


def test_a_run_leaves_what_it_says(uninterrupted: tuple[Path, str]) -> None:
    output, said = uninterrupted
    last_line = said.strip().splitlines()[-1]
    assert last_line.startswith("Trained 24 iterations, best val/map_accuracy 0.")
    for name in ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "curves.png", "pictures/step-000024.png"):
        assert (output / name).is_file()
    assert Image.open(output / "curves.png").size[1] > 500
    with (output / "csv/version_0/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows if row["val/map_accuracy"]]
    assert steps == [3, 7, 11, 15, 19, 23]
    events = EventAccumulator(str(output / "tensorboard"))
    events.Reload()
    assert {"train/loss", "val/PSNR", "val/map_accuracy", "learning_rate"} <= set(events.Tags()["scalars"])
    assert "val/pairs" in events.Tags()["images"]


def test_the_best_checkpoint_is_the_best(uninterrupted: tuple[Path, str]) -> None:
    output, _ = uninterrupted
    with (output / "csv/version_0/metrics.csv").open() as file:
        scores = {
            int(row["step"]) + 1: float(row["val/map_accuracy"]) for row in csv.DictReader(file) if row["val/loss"]
        }
    best = torch.load(output / "checkpoints" / "best.ckpt", weights_only=True)
    assert scores[best["global_step"]] == max(scores.values())


@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_a_killed_run_resumes_bit_for_bit(
    root: Path, photos: Path, uninterrupted: tuple[Path, str], tmp_path: Path, precision: str
) -> None:
    reference = uninterrupted[0]
    if precision != "32":
        reference = tmp_path / "reference"
        assert train(root, photos, reference, f"trainer.precision={precision}").returncode == 0
    output = tmp_path / "killed"
    # Slow enough to be killed between two checkpoints; the pause changes nothing else.
    arguments = command(root, photos, output, f"trainer.precision={precision}")
    last = output / "checkpoints" / "last.ckpt"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    deadline = time.monotonic() + 120
    while not last.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    stopped_at = torch.load(last, weights_only=True)["global_step"]
    assert stopped_at < 24
    resumed = train(root, photos, output, f"trainer.precision={precision}", f"resume={output}")
    assert resumed.returncode == 0, resumed.stderr
    whole, parts = weights(reference), weights(output)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    # The log of the first part is kept beside that of the second.
    assert (output / "csv/version_0/metrics.csv").is_file() or stopped_at < 10
    with (output / "csv/version_1/metrics.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file) if row["val/loss"]][-1] == 23


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_precisions_keep_weights_in_float32(root: Path, photos: Path, tmp_path: Path, precision: str) -> None:
    done = train(root, photos, tmp_path, f"trainer.precision={precision}", "trainer.max_steps=4")
    assert done.returncode == 0, done.stderr
    content = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in content["state_dict"].values())


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    root: Path, photos: Path, uninterrupted: tuple[Path, str], tmp_path: Path
) -> None:
    assert train(root, photos, tmp_path / "again").returncode == 0
    assert train(root, photos, tmp_path / "other", "seed=1").returncode == 0
    first, again, other = weights(uninterrupted[0]), weights(tmp_path / "again"), weights(tmp_path / "other")
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["network.e.weight"], other["network.e.weight"])


def test_wandb_records_offline_without_an_account(root: Path, photos: Path, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
    arguments = command(root, photos, tmp_path / "run", "logger=wandb", "trainer.max_steps=4")
    done = subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**environment, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "recording offline" in done.stdout
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["photos.root=nowhere"], "nowhere"),
        (["data.crop=500"], "500x500"),
        (["resume=nowhere.ckpt"], "nowhere.ckpt"),
        (["resume={text}"], "to be a checkpoint"),
        (["resume={run}", "network.width=6"], "of shape (6, 1, 3, 3) for network.stream_a.input.weight"),
    ],
)
def test_mistakes_are_one_sentence(
    root: Path, photos: Path, tmp_path: Path, uninterrupted: tuple[Path, str], arguments: list[str], part: str
) -> None:
    text = tmp_path / "text.ckpt"
    text.write_text("hello")
    done = train(root, photos, tmp_path, *(word.format(text=text, run=uninterrupted[0]) for word in arguments))
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert part in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_leaves_the_last_checkpoint(root: Path, photos: Path, tmp_path: Path) -> None:
    # The limit on file sizes fails a write in the middle, as a full disk does.
    output = tmp_path / "run"
    limited = ["bash", "-c", 'ulimit -f 60; exec "$@"', "-", *command(root, photos, output)]
    done = subprocess.run(
        limited, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr, done.stderr
    checkpoints = list((output / "checkpoints").glob("*.ckpt")) if (output / "checkpoints").is_dir() else []
    for path in checkpoints:
        torch.load(path, weights_only=True)


def test_two_processes_train_as_one(root: Path, photos: Path, tmp_path: Path) -> None:
    """Two ranks with half of the batch see the pairs of one rank, and average their gradients to its gradient."""
    common = ["data.synthesizer.noise=0", "trainer.max_steps=8"]
    one = train(root, photos, tmp_path / "one", *common)
    two = train(
        root, photos, tmp_path / "two", *common, "data.batch_size=2", "trainer.devices=2", "+trainer.strategy=ddp"
    )
    assert one.returncode == two.returncode == 0, two.stderr
    first, second = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("one", "two")
    )
    assert all(torch.allclose(first[key], second[key], atol=1e-4) for key in first)
    start = train(root, photos, tmp_path / "start", *common, "trainer.max_steps=1", "trainer.val_check_interval=1")
    assert start.returncode == 0
    before = torch.load(tmp_path / "start" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert not all(torch.allclose(first[key], before[key], atol=1e-3) for key in first)
    scores = []
    for name in ("one", "two"):
        with (tmp_path / name / "csv/version_0/metrics.csv").open() as file:
            scores.append([float(row["val/map_accuracy"]) for row in csv.DictReader(file) if row["val/map_accuracy"]])
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
