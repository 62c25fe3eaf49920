"""Trainings on a real Slurm of two nodes, started on this machine: a grid, two ways of DDP, and pre-emption."""

import csv
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from mfif.entry import run_entry_point

STEPS, EVERY = 240, 20  # iterations, and between checkpoints
NEEDED = ("slurmctld", "slurmd", "srun", "munged")
PATIENCE = 400  # seconds for anything to happen; nothing here waits that long

pytestmark = pytest.mark.skipif(
    any(shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None for name in NEEDED) or os.geteuid() != 0,
    reason="needs root and: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge",
)


@pytest.fixture(scope="module")
def slurm(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which commands reach the cluster."""
    folder = tmp_path_factory.mktemp("slurm")
    script = ["bash", str(shared / "slurm" / "slurm_up.sh"), str(folder)]
    path = f"{os.environ['PATH']}:/usr/sbin"
    # The nodes have no names that could be resolved. Jobs inherit all of this.
    environment = {**os.environ, "PATH": path, "SLURM_CONF": f"{folder}/slurm.conf", "MASTER_ADDR": "127.0.0.1"}
    environment |= {"OMP_NUM_THREADS": "1", "SUBMITIT_PREEMPT_SIGNAL": "USR1"}
    started = subprocess.run([*script, "up"], capture_output=True, text=True, check=False, env=environment)
    try:
        assert "idle" in started.stdout, started.stdout + started.stderr
        yield environment
    finally:
        subprocess.run([*script, "down"], check=False, env=environment, capture_output=True)


def tiny(photos: Path) -> list[str]:
    """Overrides for a small training."""
    data = ["photos=folder", f"photos.root={photos}", "data.crops=20", "data.batch_size=4", "data.val_pairs=6"]
    steps = [f"trainer.max_steps={STEPS}", f"trainer.val_check_interval={EVERY}", "trainer.log_every_n_steps=1"]
    return ["experiment=quick", "network.width=4", "data.synthesizer.noise=0", "logger=csv", *data, *steps]


Submit = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def submit(slurm: dict[str, str], root: Path, photos: Path) -> Iterator[Submit]:
    """Start a sweep of tiny trainings on the cluster."""
    started = []

    def submit(folder: Path, *arguments: str) -> subprocess.Popen[str]:
        cluster = ["hydra/launcher=slurm", "hydra.launcher.gpus_per_node=null", f"hydra.sweep.dir={folder}"]
        cpu = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.precision=32"]
        command = [sys.executable, str(root / "train.py"), "-m", *tiny(photos), *cluster, *cpu, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=slurm)
        started.append(process)
        return process

    yield submit
    for process in started:
        process.kill()
        process.wait()


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def grid(submit: Submit, slurm: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three equal jobs in one sweep; the second gets the signal of a time limit, the third loses its node."""
    folder = tmp_path_factory.mktemp("grid") / "sweep"
    process = submit(folder, "trainer.devices=1", "name=left,warned,lost")
    stops = {1: ["scancel", "--signal=USR1"], 2: ["scontrol", "requeue"]}
    for number, stop in stops.items():
        wait_for(folder / str(number) / "checkpoints" / "last.ckpt", process)
        (log,) = (folder / ".submitit").glob(f"*_{number}")
        subprocess.run([*stop, log.name], check=True, env=slurm)
    for number in stops:  # Slurm lets a requeued job wait two minutes
        (log,) = (folder / ".submitit").glob(f"*_{number}")
        deadline = time.monotonic() + PATIENCE
        while not (folder / str(number) / "csv" / "version_1").exists() and time.monotonic() < deadline:
            subprocess.run(
                ["scontrol", "update", f"jobid={log.name}", "starttime=now"],
                check=False,
                env=slurm,
                capture_output=True,
            )
            time.sleep(1)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    return folder


def weights(job: Path, step: int = STEPS) -> dict[str, torch.Tensor]:
    content = torch.load(job / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["global_step"] == step
    return content["state_dict"]


def steps(log: Path) -> list[int]:
    with log.open() as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row["train/loss"]]


def test_each_job_of_a_grid_has_its_own_values_and_folder(grid: Path) -> None:
    jobs = [grid / str(number) for number in range(3)]
    assert [OmegaConf.load(job / ".hydra" / "config.yaml").name for job in jobs] == ["left", "warned", "lost"]
    assert (grid / "sweep.md").is_file()
    assert "3 finished" in (grid / "sweep.md").read_text()


@pytest.mark.parametrize("job", [1, 2], ids=["warned by a signal", "requeued by Slurm"])
def test_a_preempted_job_goes_on_from_its_last_checkpoint(grid: Path, job: int) -> None:
    resumed = steps(grid / str(job) / "csv" / "version_1" / "metrics.csv")
    assert resumed[0] >= EVERY
    assert resumed[-1] == STEPS - 1
    whole, parts = weights(grid / "0"), weights(grid / str(job))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


FEW = ["trainer.max_steps=8", "trainer.val_check_interval=4"]


@pytest.fixture(scope="module")
def alone(root: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few iterations in one process, without a cluster."""
    import train

    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["train.py", *tiny(photos), *FEW, "trainer=cpu", f"hydra.run.dir={folder}"])
        GlobalHydra.instance().clear()
        assert run_entry_point(train.main, "train") == 0
    return folder


@pytest.mark.parametrize(("devices", "nodes"), [(2, 1), (1, 2)], ids=["two tasks of a node", "two nodes"])
def test_two_tasks_train_as_one_process(submit: Submit, alone: Path, tmp_path: Path, devices: int, nodes: int) -> None:
    folder = tmp_path / "sweep"
    counts = [f"trainer.devices={devices}", f"trainer.num_nodes={nodes}"]
    process = submit(folder, *FEW, *counts, "data.batch_size=2")
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    tasks = [path.read_text() for path in (folder / ".submitit").glob("*/*_log.out")]
    places = sorted(re.search(r"local_rank=.*\)", text)[0] for text in tasks)  # type: ignore[index]
    if nodes == 1:
        assert places == [
            "local_rank=0(2), node=0(1), global_rank=0(2))",
            "local_rank=1(2), node=0(1), global_rank=1(2))",
        ]
    else:
        assert places == [
            "local_rank=0(1), node=0(2), global_rank=0(2))",
            "local_rank=0(1), node=1(2), global_rank=1(2))",
        ]
    assert [path.name for path in (folder / "0" / "csv").iterdir()] == ["version_0"], "the first rank alone logs"
    one, two = weights(alone, 8), weights(folder / "0", 8)
    assert all(torch.allclose(one[key], two[key], atol=1e-4) for key in one)
