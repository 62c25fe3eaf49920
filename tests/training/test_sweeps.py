"""Sweeps: each job has its own values and folder, a study goes on where it stopped, and hopeless trials end early."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from mfif.entry import run_entry_point

SIZE = 8, 4  # iterations, and between validations

Sweep = Callable[..., Path]


@pytest.fixture
def sweep(root: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Run a sweep of tiny trainings in this process; its folder."""
    import train

    def sweep(*arguments: str, folder: Path = tmp_path / "sweep") -> Path:
        GlobalHydra.instance().clear()
        tiny = ["photos=folder", f"photos.root={photos}", "data.crops=20", "data.batch_size=4", "data.val_pairs=6"]
        steps = [f"trainer.max_steps={SIZE[0]}", f"trainer.val_check_interval={SIZE[1]}", "trainer.log_every_n_steps=2"]
        fixed = ["network.width=4", "trainer.accelerator=cpu", "logger=csv", f"hydra.sweep.dir={folder}"]
        monkeypatch.setattr("sys.argv", ["train.py", "experiment=quick", *tiny, *steps, *fixed, *arguments])
        assert run_entry_point(train.main, "train") == 0
        return folder

    return sweep


def trained_with(job: Path, key: str) -> object:
    assert (job / "checkpoints" / "last.ckpt").is_file()
    return OmegaConf.select(OmegaConf.load(job / ".hydra" / "config.yaml"), key)


def test_grid_trains_every_combination(sweep: Sweep) -> None:
    folder = sweep("sweep=grid", "network.width=4,6", "seed=0,1")
    jobs = [folder / str(number) for number in range(4)]
    combinations = [(trained_with(job, "network.width"), trained_with(job, "seed")) for job in jobs]
    assert combinations == [(4, 0), (4, 1), (6, 0), (6, 1)]
    table = (folder / "sweep.md").read_text()
    assert "network.width=6 | 2 finished | 8 |" in table
    assert (folder / "sweep.png").is_file()


def test_joblib_trains_beside_each_other(sweep: Sweep) -> None:
    folder = sweep("hydra.mode=MULTIRUN", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=0,1")
    assert [trained_with(folder / str(number), "seed") for number in range(2)] == [0, 1]
    assert "2 finished" in (folder / "sweep.md").read_text()


@pytest.fixture
def study(tmp_path: Path) -> Callable[[float], optuna.Study]:
    """A study with one trial that had some score at every validation, where a sweep will look for it."""

    def study(score: float) -> optuna.Study:
        folder = tmp_path / "sweep"
        folder.mkdir()
        study = optuna.create_study(f"sqlite:///{folder}/optuna.db", study_name="optuna", direction="maximize")
        scores = dict.fromkeys(range(0, SIZE[0] + 1, SIZE[1]), score)
        study.add_trial(optuna.create_trial(value=score, intermediate_values=scores))
        return study

    return study


OPTUNA = ("sweep=optuna", "hydra.sweeper.n_trials=1", "callbacks.pruning.pruner.n_startup_trials=1")


def test_a_hopeless_trial_ends_early(sweep: Sweep, study: Callable[[float], optuna.Study]) -> None:
    trials = study(2.0)  # more than an accuracy can reach
    folder = sweep(*OPTUNA)
    _, trial = trials.trials
    assert trial.user_attrs["pruned_at"] == SIZE[1]
    assert list(trial.intermediate_values) == [SIZE[1]]
    assert "1 ended early | 4 |" in (folder / "sweep.md").read_text()


def test_a_study_goes_on_where_it_stopped(sweep: Sweep, study: Callable[[float], optuna.Study]) -> None:
    trials = study(-1.0)
    for _ in range(2):
        folder = sweep(*OPTUNA)
    _, *own = trials.trials
    assert len(own) == 2
    for trial in own:
        assert trial.state is optuna.trial.TrialState.COMPLETE
        assert "pruned_at" not in trial.user_attrs
        assert list(trial.intermediate_values) == [4, 8]
        assert trial.value == max(trial.intermediate_values.values())
        assert 1e-4 <= trial.params["optimizer.lr"] <= 1e-2
    jobs = sorted(path.parent for path in folder.glob("*/.hydra"))
    assert len(jobs) == 2, "each trial has a folder of its own"
    assert [trained_with(job, "optimizer.lr") for job in jobs] == [trial.params["optimizer.lr"] for trial in own]


def test_a_trial_that_fails_does_not_end_the_search(sweep: Sweep, study: Callable[[float], optuna.Study]) -> None:
    trials = study(-1.0)
    sweep(*OPTUNA, "optimizer.lr=choice(-1.0)")
    assert trials.trials[-1].state is optuna.trial.TrialState.FAIL


def test_the_command_of_wandb_is_a_training(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import train

    sweep = yaml.safe_load((root / "sweeps" / "wandb.yaml").read_text())
    assert (root / sweep["program"]).is_file()
    chosen = {"optimizer.lr": {"value": 0.002}, "network.width": {"value": 8}, "seed": {"value": 2}}
    assert chosen.keys() == sweep["parameters"].keys()
    # What W&B's own agent makes of the template.
    words = create_sweep_command(sweep["command"])
    arguments = create_sweep_command_args({"args": chosen})["args_no_hyphens"]
    start = words.index("${program}") + 1
    command = [*words[start : words.index("${args_no_hyphens}")], *arguments]
    GlobalHydra.instance().clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["train.py", *command, "--cfg=job"])
        assert run_entry_point(train.main, "train") == 0
    config = OmegaConf.create(capfd.readouterr().out)
    assert (config.optimizer.lr, config.network.width, config.seed) == (0.002, 8, 2)
    assert "wandb" in config.logger
    assert sweep["metric"]["name"] == config.callbacks.best.monitor
