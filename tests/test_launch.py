"""Trainings of several processes: own values and folders in a sweep, one folder for all ranks, restarts."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from mfif.entry import run_entry_point
from mfif.errors import InputError
from mfif.launch import global_rank, restarted_run, run_folder, run_stamp

IDENTITIES = ("TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "SLURM_STEP_ID", "SLURM_JOB_ID")
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "SLURM_PROCID")
TWO_PROCESSES = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.precision=32"]


@pytest.fixture
def tiny(photos: Path) -> list[str]:
    """Overrides for a training of four iterations."""
    data = ["photos=folder", f"photos.root={photos}", "data.crops=20", "data.batch_size=2", "data.val_pairs=6"]
    steps = [
        "data.synthesizer.noise=0",
        "trainer.max_steps=4",
        "trainer.val_check_interval=2",
        "trainer.log_every_n_steps=1",
    ]
    return ["experiment=quick", *data, *steps, "network.width=4", "logger=csv"]


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in (*IDENTITIES, *RANKS)}
    return {**kept, "OMP_NUM_THREADS": "1", **changes}


def weights(job: Path, step: int = 4) -> dict[str, torch.Tensor]:
    content = torch.load(job / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["global_step"] == step
    return content["state_dict"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Train in this process."""
    import train

    GlobalHydra.instance().clear()
    monkeypatch.setattr("sys.argv", ["train.py", *arguments])
    return run_entry_point(train.main, "train")


def test_a_sweep_over_two_processes(
    root: Path, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in RANKS:
        monkeypatch.delenv(name, raising=False)
    specification = sys.modules["__main__"].__spec__
    assert (
        run(monkeypatch, *tiny, *TWO_PROCESSES, f"hydra.sweep.dir={tmp_path}", "hydra.mode=MULTIRUN", "seed=0,1") == 0
    )

    # Nothing is left for the next job to meet.
    assert sys.argv[-1] == "seed=0,1"
    assert sys.modules["__main__"].__spec__ is specification
    assert not any(name in os.environ for name in RANKS)
    assert not torch.distributed.is_initialized()

    jobs = [tmp_path / "0", tmp_path / "1"]
    assert [OmegaConf.load(job / ".hydra" / "config.yaml").seed for job in jobs] == [0, 1]
    for job in jobs:
        assert [path.name for path in (job / "csv").iterdir()] == ["version_0"], "the first rank alone logs"
        assert [path.name for path in job.glob("*.log")] == ["train.log"]
        with (job / "csv/version_0/metrics.csv").open() as file:
            assert [row["step"] for row in csv.DictReader(file) if row["val/loss"]] == ["1", "3"]
    assert "2 finished" in (tmp_path / "sweep.md").read_text()

    # Both ranks had the values of the job: one process with the whole batch comes to the same weights, for two ranks
    # with half of it see the same pairs and average their gradients to its gradient.
    one_process = ["trainer=cpu", "data.batch_size=4", "seed=1"]
    assert run(monkeypatch, *tiny, *one_process, f"hydra.run.dir={tmp_path}/one") == 0
    other, two, one = (weights(job) for job in (*jobs, tmp_path / "one"))
    assert all(torch.allclose(one[key], two[key], atol=1e-4) for key in one)
    assert not all(torch.allclose(one[key], other[key], atol=1e-2) for key in one)
    first = [*one_process, "trainer.max_steps=1", "trainer.val_check_interval=1"]
    assert run(monkeypatch, *tiny, *first, f"hydra.run.dir={tmp_path}/first") == 0
    before = weights(tmp_path / "first", 1)
    assert not all(torch.allclose(one[key], before[key], atol=1e-3) for key in one)
    scores = []
    for job in (jobs[1], tmp_path / "one"):
        with (job / "csv/version_0/metrics.csv").open() as file:
            scores.append([float(row["val/map_accuracy"]) for row in csv.DictReader(file) if row["val/map_accuracy"]])
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_torchrun_writes_to_one_folder(root: Path, tiny: list[str], tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launcher, str(root / "train.py"), *tiny, *TWO_PROCESSES]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (job,) = (tmp_path / "runs" / "quick").iterdir()
    weights(job)
    assert [path.name for path in (job / "csv").iterdir()] == ["version_0"]


def test_torchrun_without_a_name_is_refused(
    root: Path, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert run(monkeypatch, *tiny) == 1
    assert "one folder for all processes" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the variables of a launcher, those of all others being absent."""

    def clean(**variables: str) -> None:
        for name in (*IDENTITIES, *RANKS, "SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return clean


def test_runs_that_start_together_have_names_of_their_own(clean: Callable[..., None]) -> None:
    clean()
    code = "from mfif.launch import run_stamp; print(run_stamp())"
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)]
    names = [process.communicate()[0] for process in processes]
    assert all(names)
    assert len(set(names)) == 4


def test_a_resumed_run_stays_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").touch()
    assert run_folder("quick", str(tmp_path), "now") == str(tmp_path)
    for elsewhere in (None, str(tmp_path / "last.ckpt"), str(tmp_path / "missing")):
        assert run_folder("quick", elsewhere, "now") == "runs/quick/now"


def test_ranks_find_the_same_name(clean: Callable[..., None]) -> None:
    clean(TORCHELASTIC_RUN_ID="job")
    assert run_stamp() == "job"
    clean(SLURM_NTASKS="2", SLURM_JOB_ID="7", SLURM_STEP_ID="0")
    assert run_stamp() == "slurm-7-0"
    clean(SLURM_NTASKS="1", SLURM_JOB_ID="7", SLURM_STEP_ID="0")  # a shell in a job may start many
    assert run_stamp() != run_stamp()
    clean(TORCHELASTIC_RUN_ID="none")
    with pytest.raises(InputError, match=r"hydra\.run\.dir"):
        run_stamp()


@pytest.mark.parametrize(
    ("variables", "rank"),
    [({}, 0), ({"RANK": "3", "LOCAL_RANK": "1"}, 3), ({"LOCAL_RANK": "1"}, 1), ({"SLURM_PROCID": "2"}, 2)],
)
def test_global_rank(clean: Callable[..., None], variables: dict[str, str], rank: int) -> None:
    clean(**variables)
    assert global_rank() == rank


def test_only_a_restart_resumes_by_itself(clean: Callable[..., None], tmp_path: Path) -> None:
    clean()
    assert restarted_run(str(tmp_path)) is None
    clean(SLURM_RESTART_COUNT="1")
    assert restarted_run(str(tmp_path)) is None, "stopped before its first checkpoint"
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert restarted_run(str(tmp_path)) == str(tmp_path)
    clean(TORCHELASTIC_RESTART_COUNT="2")
    assert restarted_run(str(tmp_path)) == str(tmp_path)
    clean(SLURM_RESTART_COUNT="0")
    assert restarted_run(str(tmp_path)) is None


def test_a_rank_ends_with_the_process_that_started_it(root: Path) -> None:
    rank = (
        "import time; from mfif.launch import end_with_launcher\n"
        "end_with_launcher(0.05); print(1, flush=True); time.sleep(300)"
    )
    launcher = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {rank!r}]).wait()"
    environment = {**os.environ, "LOCAL_RANK": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", launcher],
        cwd=root,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"  # the rank runs and watches
    process.kill()
    _, said = process.communicate(timeout=120)  # which ends when the rank has closed its streams
    assert "Rank 1 stops: the process that started it has ended." in said
