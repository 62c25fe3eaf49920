"""Where a run comes from: all it takes to understand it later, and to repeat it."""

import json
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from mfif.config import CONFIG_DIR
from mfif.files import replacing


def write_provenance(config: DictConfig, folder: Path) -> None:
    """Write what a run depends on into its folder; for rank zero, before anything is trained.

    ``config.yaml`` repeats the run. ``provenance.json`` has the command, the resolved configuration, git revision,
    machine and versions; ``git.diff`` what was changed since the revision; ``requirements.txt`` all packages. A run
    that is resumed in its folder gets such files for each part: ``provenance-2.json`` and so on.

    Args:
        config: The composed configuration of ``train.py``.
        folder: The run's.
    """
    part = len(list(folder.glob("provenance*.json"))) + 1
    suffix = f"-{part}" if part > 1 else ""
    diff = _git("diff", "HEAD", "--binary")
    content = {
        "command": shlex.join(sys.orig_argv),
        "folder": str(Path.cwd()),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": config.seed,
        "git": _git_state(),
        "machine": _machine(),
        "environment": {name: os.environ[name] for name in sorted(os.environ) if name in _VARIABLES},
        "config": OmegaConf.to_container(config, resolve=True),
    }
    packages = sorted({f"{item.name}=={item.version}" for item in metadata.distributions()}, key=str.lower)
    _write(folder / "config.yaml", _repeatable(config))
    _write(folder / f"requirements{suffix}.txt", "\n".join(packages) + "\n")
    if diff:
        _write(folder / f"git{suffix}.diff", diff)
    _write(folder / f"provenance{suffix}.json", json.dumps(content, indent=2) + "\n")


_VARIABLES = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "SLURM_JOB_ID", "WORLD_SIZE")


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def _repeatable(config: DictConfig) -> str:
    """The configuration as a file that Hydra composes the run from, into a new folder."""
    # References such as ${seed} stay, so that a value given beside it reaches all that follow from it.
    repeated = OmegaConf.create(OmegaConf.to_container(config, resolve=False))
    repeated.resume = None
    folders = OmegaConf.load(CONFIG_DIR / "train.yaml").hydra
    del folders["help"]
    header = "# python train.py --config-dir THIS_FOLDER --config-name config [KEY=VALUE ...] repeats this run.\n"
    defaults = OmegaConf.create({"defaults": ["train_schema", "_self_"]})
    return header + "".join(OmegaConf.to_yaml(part) for part in (defaults, repeated, {"hydra": folders}))


def _git_state() -> dict[str, Any] | None:
    """Revision, and files that are not in it; None where the code is in no checkout."""
    revision = _git("rev-parse", "HEAD")
    if revision is None:
        return None
    status = (_git("status", "--porcelain") or "").splitlines()
    return {
        "revision": revision.strip(),
        "changed": [line[3:] for line in status if not line.startswith("??")],
        "untracked": [line[3:] for line in status if line.startswith("??")],
    }


def _git(*arguments: str) -> str | None:
    """Output of git in the checkout this code is in; None where there is no git, or the checkout is someone else's."""
    source = Path(__file__).resolve()
    try:
        for command in (("ls-files", "--error-unmatch", source.name), arguments):
            done = subprocess.run(
                ["git", *command], cwd=source.parent, capture_output=True, text=True, check=True, timeout=30
            )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _machine() -> dict[str, Any]:
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "cpu": _cpu(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }


def _cpu() -> str:
    capability = torch.backends.cpu.get_cpu_capability()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{model}, {os.cpu_count()} cores, {capability}"
