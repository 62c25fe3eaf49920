"""The processes of one training: where they write, how they start, how they end, and how they start again."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict, read_write

from mfif.errors import InputError

if TYPE_CHECKING:
    from lightning import Trainer
    from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment

_PLACES = {"main": "--config-path", "command-line": "--config-dir"}
_RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_RESTART_COUNTS = ("SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT")


def run_stamp() -> str:
    """Name of a run that no other run has, and that all its processes find on their own.

    A run is named by its start, to the microsecond. Processes that torchrun or srun start each have a start of their
    own, so there the identity of the launch names the run; that of Slurm stays the same when a job is requeued.

    Raises:
        InputError: torchrun was given no identity.
    """
    if (identity := os.environ.get("TORCHELASTIC_RUN_ID")) is not None:
        if identity == "none":
            raise InputError(
                "Expected one folder for all processes of torchrun, but each would name its own. "
                "Give torchrun --standalone or --rdzv-id=NAME, or give train.py hydra.run.dir=FOLDER."
            )
        return identity
    if int(os.environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_STEP_ID" in os.environ:
        return f"slurm-{os.environ['SLURM_JOB_ID']}-{os.environ['SLURM_STEP_ID']}"
    return datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")


def run_folder(name: str, resume: str | None, stamp: str) -> str:
    """Folder of a run: that of the run it goes on with, else a new one under ``runs/NAME``."""
    return resume if resume is not None and Path(resume).is_dir() else f"runs/{name}/{stamp}"


def register_resolvers() -> None:
    """Let configurations say ``${run_stamp:}``, of which one composed configuration has one, and ``${run_folder:}``."""
    OmegaConf.register_new_resolver("run_stamp", run_stamp, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)


def global_rank() -> int:
    """Number of this process among those of its training, before the trainer is built."""
    return int(next((os.environ[name] for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID") if name in os.environ), 0))


def restarted_run(output: str) -> str | None:
    """The folder to resume from when Slurm or torchrun has started this very run again.

    Args:
        output: Folder of this run.

    Returns:
        `output` if this is a restart and a checkpoint was written before it; None otherwise.
    """
    restarts = max(int(os.environ.get(name, "0")) for name in _RESTART_COUNTS)
    return output if restarts and any(Path(output).glob("checkpoints/*.ckpt")) else None


def cluster_plugins() -> "list[ClusterEnvironment]":
    """Plugins of the trainer that leave requeueing to Slurm and submitit, where Slurm runs this process.

    Lightning's own handler saves in the middle of a step, ranks that it meets at different places wait for each other
    for ever, and its checkpoint wins over later ones.
    """
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


@contextmanager
def one_job(trainer: "Trainer", script: str) -> Iterator[None]:
    """Make the processes that a trainer starts run this job, in its folder; end them and clean up after it.

    Lightning starts the other ranks of a machine by the command line of this process and Hydra's `hydra.run.dir`. In
    a multirun these describe the whole sweep, and each rank would start the sweep anew. So they are this job's own
    while the block runs, and afterwards nothing of its process group is left for the next job to meet.

    Args:
        trainer: Is used inside the block.
        script: The entry point that the processes run.
    """
    main: ModuleType = sys.modules["__main__"]
    before = sys.argv, main.__spec__
    variables = {name: os.environ.get(name) for name in _RANK_VARIABLES}
    if HydraConfig.initialized():
        config: Any = HydraConfig.get()
        with read_write(config), open_dict(config):
            config.run.dir = config.runtime.output_dir
        sys.argv = [script, *_arguments(config)]
        main.__spec__ = None  # else Lightning starts `python -m` with the module that started this process
    finished = False
    try:
        yield
        finished = True
    finally:
        _end_processes(trainer, finished)
        sys.argv, main.__spec__ = before
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def end_with_launcher(interval: float = 1.0) -> None:
    """End this rank, in words, when the process that started it is gone: Lightning's rank zero, or torchrun.

    A rank that waits for the others inside a collective cannot look itself, so a thread does.

    Args:
        interval: Seconds between two looks.
    """
    started_by_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    rank = os.environ.get("LOCAL_RANK", "0")
    if rank == "0" and not started_by_torchrun:
        return
    launcher = os.getppid()

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(interval)
        print(f"error: Rank {rank} stops: the process that started it has ended.", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(1)

    threading.Thread(target=watch, name="end-with-launcher", daemon=True).start()


def _arguments(config: Any) -> list[str]:
    """The command line that makes Hydra run the present job alone."""
    places = [
        word
        for source in config.runtime.config_sources
        if source.provider in _PLACES
        for word in (_PLACES[source.provider], source.path)
    ]
    number = [] if OmegaConf.is_missing(config.job, "num") else [f"hydra.job.num={config.job.num}"]
    return [
        *places,
        f"--config-name={config.job.config_name}",
        *(override for override in config.overrides.hydra if not override.startswith("hydra.mode=")),
        *config.overrides.task,
        *number,
        "hydra.mode=RUN",
        "hydra/job_logging=stdout",  # only the first rank writes files
    ]


def _end_processes(trainer: "Trainer", finished: bool) -> None:
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
    processes = getattr(trainer.strategy.launcher, "procs", [])
    for process in processes:
        if not finished:
            process.kill()  # it may wait for this one for ever
        process.wait()
    processes.clear()  # Lightning watches this list, and would kill a sweep for a rank that an earlier job lost
