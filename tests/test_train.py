"""Training from the command line: what it writes, and that a killed run goes on as if never stopped."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import hydra
import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mfif.config import CONFIG_DIR, register_schemas
from mfif.fusion.weights import read_network

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


def overrides(photos: Path, output: Path, *arguments: str) -> list[str]:
    return [*QUICK, f"photos.root={photos}", f"hydra.run.dir={output}", *arguments]


def command(root: Path, photos: Path, output: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(root / "train.py"), *overrides(photos, output, *arguments)]


def weights(output: Path) -> dict[str, torch.Tensor]:
    content = torch.load(output / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["global_step"] == 24
    optimizer = content["optimizer_states"][0]["state"]
    moments = {f"{key}.{name}": value for key, state in optimizer.items() for name, value in state.items()}
    return {**content["state_dict"], **moments}


class Whole(NamedTuple):
    """A training that was not disturbed: its folder, what it wrote to stdout, and the modules that it imported."""

    output: Path
    said: str
    modules: set[str]


@pytest.fixture(scope="module")
def uninterrupted(root: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    output = tmp_path_factory.mktemp("run") / "uninterrupted"
    listing = [sys.executable, "-X", "importtime", *command(root, photos, output)[1:]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(listing, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    return Whole(output, done.stdout, modules)


@pytest.fixture(scope="module")
def half_precision(train_here: Callable[..., int], photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run") / "bf16"
    assert train_here(*overrides(photos, output, "trainer.precision=bf16-mixed")) == 0
    return output


def test_a_run_leaves_what_it_says(uninterrupted: Whole) -> None:
    output = uninterrupted.output
    last_line = uninterrupted.said.strip().splitlines()[-1]
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


def test_a_training_that_is_not_tracked_does_without_wandb(uninterrupted: Whole) -> None:
    assert "mfif.training.tracking" in uninterrupted.modules
    assert "wandb" not in uninterrupted.modules


def test_the_best_checkpoint_is_the_best(uninterrupted: Whole) -> None:
    output = uninterrupted.output
    with (output / "csv/version_0/metrics.csv").open() as file:
        scores = {
            int(row["step"]) + 1: float(row["val/map_accuracy"]) for row in csv.DictReader(file) if row["val/loss"]
        }
    best = torch.load(output / "checkpoints" / "best.ckpt", weights_only=True)
    assert scores[best["global_step"]] == max(scores.values())


def start(arguments: list[str], **pipes: int) -> subprocess.Popen[str]:
    """Start a training in a process of its own, and return once it has written a checkpoint."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(arguments, env=environment, text=True, **pipes)
    output = next(word.partition("=")[2] for word in arguments if word.startswith("hydra.run.dir="))
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if (Path(output) / "checkpoints" / "last.ckpt").is_file():
            break
        time.sleep(0.005)
    return process


@pytest.mark.parametrize(
    ("precision", "sent", "status"),
    [("32", signal.SIGKILL, -9), ("bf16-mixed", signal.SIGKILL, -9), ("32", signal.SIGTERM, 143)],
)
def test_a_killed_run_resumes_bit_for_bit(
    root: Path,
    train_here: Callable[..., int],
    photos: Path,
    uninterrupted: Whole,
    half_precision: Path,
    tmp_path: Path,
    precision: str,
    sent: signal.Signals,
    status: int,
) -> None:
    reference = uninterrupted.output if precision == "32" else half_precision
    output = tmp_path / "killed"
    arguments = command(root, photos, output, f"trainer.precision={precision}")
    process = start(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.send_signal(sent)
    said, _ = process.communicate()
    assert process.returncode == status, "the run ended before it could be killed"
    stopped_at = torch.load(output / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert stopped_at < 24
    line = f"SIGTERM: stopped and saved at iteration {stopped_at}. Go on with resume={output}."
    assert (line in said.splitlines()) == (sent == signal.SIGTERM)
    assert train_here(*overrides(photos, output, f"trainer.precision={precision}", f"resume={output}")) == 0
    whole, parts = weights(reference), weights(output)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    # The log of the first part is kept beside that of the second.
    assert (output / "csv/version_0/metrics.csv").is_file() or stopped_at < 10
    with (output / "csv/version_1/metrics.csv").open() as file:
        validated = [int(row["step"]) for row in csv.DictReader(file) if row["val/loss"]]
    assert validated[0] >= stopped_at, "it began anew"
    assert validated[-1] == 23


def test_precisions_keep_weights_in_float32(
    train_here: Callable[..., int], photos: Path, half_precision: Path, tmp_path: Path
) -> None:
    assert train_here(*overrides(photos, tmp_path, "trainer.precision=16-mixed", "trainer.max_steps=4")) == 0
    for output in (half_precision, tmp_path):
        content = torch.load(output / "checkpoints" / "last.ckpt", weights_only=True)
        assert all(value.dtype == torch.float32 and value.isfinite().all() for value in content["state_dict"].values())


class WeightsByStep(Callback):
    """Keeps the last layer's weights after every iteration."""

    def __init__(self) -> None:
        self.kept: list[torch.Tensor] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        self.kept.append(pl_module.get_parameter("network.e.weight").detach().clone())


def test_averaged_weights_are_kept_and_go_on_with_a_resumed_run(
    train_here: Callable[..., int],
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    watch = WeightsByStep()
    monkeypatch.setattr("mfif.training.callbacks.watched", lambda: watch, raising=False)
    words = ["scheduler=constant", "averaging=ema", "averaging.decay=0.8"]
    spy = "+callbacks.watch._target_=mfif.training.callbacks.watched"
    assert train_here(*overrides(photos, tmp_path / "whole", *words, spy)) == 0
    expected = watch.kept[0]
    for later in watch.kept[1:]:
        expected = 0.8 * expected + 0.2 * later
    whole = weights(tmp_path / "whole")
    torch.testing.assert_close(whole["network.e.weight"], expected)
    assert not torch.allclose(whole["network.e.weight"], watch.kept[-1])
    _, read = read_network(tmp_path / "whole/checkpoints/last.ckpt")
    assert torch.equal(read["e.weight"], whole["network.e.weight"])

    assert train_here(*overrides(photos, tmp_path / "parts", *words, "trainer.max_steps=10")) == 0
    assert train_here(*overrides(photos, tmp_path / "parts", *words, f"resume={tmp_path / 'parts'}")) == 0
    parts = weights(tmp_path / "parts")
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    without = ["scheduler=constant", f"resume={tmp_path / 'parts'}"]
    assert train_here(*overrides(photos, tmp_path / "other", *without)) == 1
    assert "averaging.decay was 0.8, is None" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    train_here: Callable[..., int], photos: Path, uninterrupted: Whole, tmp_path: Path
) -> None:
    assert train_here(*overrides(photos, tmp_path / "again")) == 0
    assert train_here(*overrides(photos, tmp_path / "other", "seed=1")) == 0
    first, again, other = weights(uninterrupted.output), weights(tmp_path / "again"), weights(tmp_path / "other")
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["network.e.weight"], other["network.e.weight"])


def test_a_run_is_repeated_from_its_folder(
    train_here: Callable[..., int], uninterrupted: Whole, tmp_path: Path
) -> None:
    words = ["--config-dir", str(uninterrupted.output), "--config-name", "config", "deterministic=true"]
    assert train_here(*words, f"hydra.run.dir={tmp_path / 'again'}") == 0
    first, again = weights(uninterrupted.output), weights(tmp_path / "again")
    assert all(torch.equal(first[key], again[key]) for key in first)


def test_a_finished_run_is_said_to_be(
    train_here: Callable[..., int],
    photos: Path,
    uninterrupted: Whole,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train_here(*overrides(photos, tmp_path, f"resume={uninterrupted.output}")) == 0
    assert f"{uninterrupted.output} has finished: 24 of 24 iterations." in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="finds the other rank in /proc")
@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_rank_ends_the_others_in_words(root: Path, photos: Path, tmp_path: Path, lost: int) -> None:
    endless = ["data.batch_size=2", "trainer.devices=2", "+trainer.strategy=ddp", "trainer.max_steps=1000000"]
    process = start(command(root, photos, tmp_path, *endless), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    (child,) = (int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
    os.kill([process.pid, child][lost], signal.SIGKILL)
    said, _ = process.communicate(timeout=300)  # it ends when both processes have closed their output
    assert process.returncode != 0
    words = ("A process of this training ended", "the process that started it has ended", "terminated with code -9")
    assert any(word in said for word in words)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["photos.root=nowhere"], "nowhere"),
        (["data.crop=500"], "500x500"),
        (["resume=nowhere.ckpt"], "nowhere.ckpt"),
        (["resume={text}"], "to be a checkpoint"),
        (["resume={run}", "network.width=6"], "but network.width was 4, is 6"),
    ],
)
def test_mistakes_are_one_sentence(
    train_here: Callable[..., int],
    photos: Path,
    tmp_path: Path,
    uninterrupted: Whole,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    part: str,
) -> None:
    text = tmp_path / "text.ckpt"
    text.write_text("hello")
    words = [word.format(text=text, run=uninterrupted.output) for word in arguments]
    assert train_here(*overrides(photos, tmp_path, *words)) == 1
    said = capsys.readouterr().err
    assert said.strip().splitlines()[-1].startswith("error: ")
    assert part in said
    assert "Traceback" not in said


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_no_iteration_waits_for_the_gpu(
    root: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import train as entry

    class NoSync(Callback):
        """Lets PyTorch raise where the GPU is waited for, from the end of an iteration to that of the next.

        Not where a loss is read to be shown or logged, before and after the end of every tenth.
        """

        watched = 0

        def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
            strict = trainer.global_step % 10 not in (9, 0)
            type(self).watched += strict
            torch.cuda.set_sync_debug_mode("error" if strict else "default")

        def on_train_end(self, *_: object) -> None:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr("mfif.training.callbacks.NoSync", NoSync, raising=False)
    register_schemas()
    words = [f"photos.root={photos}", *QUICK, "trainer=gpu", "trainer.accelerator=gpu", f"output={tmp_path}"]
    words += ["trainer.max_steps=40", "trainer.val_check_interval=20", "trainer.log_every_n_steps=10"]
    with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        config = hydra.compose("train", [*words, "+callbacks.watch._target_=mfif.training.callbacks.NoSync"])
    entry.main(config)
    assert NoSync.watched == 32
