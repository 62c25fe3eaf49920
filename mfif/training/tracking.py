"""Weights & Biases: each job is a run, named after it and closed with its exit status; it never asks or waits long.

`wandb` is imported where it is used: it takes up to a second, which a training that is not tracked need not wait.
"""

import os
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from mfif.errors import InputError

# Seconds: for the host to answer, for a run to be opened there, and for the uploads when a run ends.
_PROBE, _OPEN, _UPLOAD = 3.0, 30.0, 600.0
_LONGEST = {"name": 128, "group": 128, "tags": 64}  # what W&B takes, in characters
_NAMELESS = {"callbacks", "logger", "output", "resume"}  # overrides that say where and how, not what


class WandbRun(WandbLogger):
    """The W&B run of a job: `start` opens it, Lightning logs to it, `finish` closes it with the exit status.

    A job that goes on in the folder of one that did not finish goes on with its W&B run too.

    Args:
        project: The project at W&B.
        save_dir: Folder that ``wandb/`` is made in.
        checkpoints: Folder whose ``best.ckpt`` and ``last.ckpt`` become artifacts when the job ends; None for none.
        name: Name of the run; None for the job's overrides, such as ``quick ablation=l2 seed=1``.
        group: What the run is shown with; None for the sweep that the job is part of.
        tags: None for the experiment, the ablation and the debug configuration.
        mode: ``online``, ``offline`` or ``disabled``; None for what WANDB_MODE says, and else for online where that is
            possible and offline where it is not.
        **arguments: For `wandb.init`.
    """

    def __init__(
        self,
        project: str,
        save_dir: str,
        checkpoints: str | None = None,
        name: str | None = None,
        group: str | None = None,
        tags: Sequence[str] | None = None,
        mode: str | None = None,
        **arguments: Any,
    ) -> None:
        folder = Path(save_dir).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        given = {"name": name, "group": group, "tags": tags}
        labels = {**describe_job(), **{key: value for key, value in given.items() if value is not None}}
        self._settings = arguments.pop("settings", {})
        super().__init__(project=project, save_dir=folder, resume="auto", mode=mode, **labels, **arguments)
        self.checkpoints = None if checkpoints is None else Path(checkpoints)

    @rank_zero_only
    def start(self, configuration: Mapping[str, Any]) -> None:
        """Open the run, offline if need be, and send the configuration.

        Args:
            configuration: The resolved configuration as plain data.

        Raises:
            InputError: Being online is asked for, by `mode` or WANDB_MODE, and not possible.
        """
        import wandb

        insisted = self._wandb_init["mode"] == "online" or os.environ.get("WANDB_MODE") == "online"
        mode = self._wandb_init["mode"] or wandb.setup().settings.mode
        if mode == "online":
            obstacle = find_obstacle() or self._open("online")
            if obstacle and insisted:
                raise InputError(f"W&B was told to be online, but {obstacle}. Use WANDB_MODE=offline to record here.")
            if obstacle:
                mode = "offline"
                print(f"W&B records offline: {obstacle}. To upload: wandb sync {self.save_dir}/wandb/offline-run-*")  # noqa: T201
        if mode != "online":
            self._open(mode)
        self.log_hyperparams(dict(configuration))

    def _open(self, mode: str) -> str | None:
        """Open the run; return why that failed, if it did."""
        import wandb

        settings = {"init_timeout": _OPEN, "finish_timeout": _UPLOAD, "silent": mode != "online", **self._settings}
        self._wandb_init |= {"mode": mode, "settings": settings}
        try:
            _ = self.experiment
        except wandb.Error as error:
            wandb.teardown()  # the process behind it would keep the name of the run for the one that failed
            return _first_line(error)
        return None

    def log_hyperparams(self, params: Any) -> None:
        """Send the configuration with its keys at the root, where tables and sweeps of W&B look for them."""
        super().log_hyperparams(params.get("configuration", params))

    @rank_zero_only
    def finish(self, exit_code: int) -> None:
        """Send the checkpoints and close the run.

        Args:
            exit_code: 0 marks the run finished, anything else failed.
        """
        if self._experiment is None:
            return
        if self.checkpoints is not None:
            for alias in ("last", "best"):
                self._send_checkpoint(self.checkpoints / f"{alias}.ckpt", alias)
        self._experiment.finish(exit_code=exit_code)
        self._experiment = None

    def _send_checkpoint(self, path: Path, alias: str) -> None:
        if path.is_file():
            import wandb

            artifact = wandb.Artifact(f"model-{self.version}", type="model")
            artifact.add_file(str(path), name="model.ckpt", policy="immutable")  # uploaded from there, not copied first
            self.experiment.log_artifact(artifact, aliases=[alias])


@contextmanager
def tracking(loggers: Sequence[Logger], configuration: Mapping[str, Any]) -> Iterator[None]:
    """Give the job inside the block a W&B run of its own, if W&B is among the loggers.

    Args:
        loggers: Those of the job.
        configuration: The resolved configuration as plain data.
    """
    runs = [logger for logger in loggers if isinstance(logger, WandbRun)]
    exit_code = 1
    try:
        for run in runs:
            run.start(configuration)
        yield
        exit_code = 0
    finally:
        for run in runs:
            run.finish(exit_code)


def describe_job() -> dict[str, Any]:
    """Name, group and tags of the job that Hydra runs, as `wandb.init` takes them; empty outside of Hydra."""
    if not HydraConfig.initialized():
        return {}
    hydra = HydraConfig.get()
    words = [
        word for word in hydra.overrides.task if word.lstrip("+~").partition("=")[0].split(".")[0] not in _NAMELESS
    ]
    name = " ".join(word.removeprefix("experiment=") for word in words) or hydra.job.name
    labels: dict[str, Any] = {}
    if hydra.mode == RunMode.MULTIRUN:
        name = f"{hydra.job.num}: {name}"  # tells jobs apart even where the name is cut, or two draw the same values
        labels["group"] = "/".join(Path(hydra.sweep.dir).parts[-2:])[-_LONGEST["group"] :]
    labels["name"] = name[: _LONGEST["name"]]
    chosen = (hydra.runtime.choices.get(group) for group in ("experiment", "ablation", "debug"))
    labels["tags"] = [str(choice)[: _LONGEST["tags"]] for choice in chosen if choice]
    return labels


def find_obstacle() -> str | None:
    """What keeps W&B from being online, in words: no API key, or a host that does not answer; None for nothing."""
    import wandb

    try:
        if not wandb.login(prompt=False, verify=False):
            return "no API key found"
    except wandb.Error as error:
        return _first_line(error)
    host = wandb.setup().settings.base_url
    return None if _answers(host) else f"{host} does not answer"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _answers(url: str) -> bool:
    """Whether anything answers at an address in time."""
    answered = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(url, timeout=_PROBE).close()
        except urllib.error.HTTPError:
            pass  # an answer too
        except OSError as error:
            if not isinstance(getattr(error, "reason", None), ssl.SSLError):  # W&B may know other certificates
                return
        answered.set()

    # In a thread, for to look up a name has no time limit of its own.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PROBE)
    return answered.is_set()
