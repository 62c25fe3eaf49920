"""Hopeless trials of an Optuna sweep end early."""

from collections.abc import Sequence
from typing import Any

import optuna
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class Pruning(Callback):
    """Reports a trial's scores to its study, and ends the training where the pruner sees no hope.

    The sweeper reads the score a trial returns, and so counts an ended one by the best it had; the iteration it ended
    at is its attribute ``pruned_at``. A training that is no trial of the study goes on undisturbed.

    Args:
        monitor: The score, among those logged at validation.
        storage: URL of the database with the study.
        study_name: The study.
        overrides: The job's overrides, ``KEY=VALUE`` each, which say which trial it is.
        pruner: Compares with the other trials at the same iteration.
    """

    def __init__(
        self,
        monitor: str,
        storage: str,
        study_name: str,
        overrides: Sequence[str],
        pruner: optuna.pruners.BasePruner,
    ) -> None:
        self.monitor = monitor
        self.storage = storage
        self.study_name = study_name
        self.overrides = frozenset(overrides)
        self.pruner = pruner
        self._trial: optuna.Trial | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the trial, on the first rank, which alone talks to the study."""
        if not trainer.is_global_zero:
            return
        study = optuna.load_study(study_name=self.study_name, storage=self.storage, pruner=self.pruner)
        running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
        own = [trial for trial in running if trial.params and self._words(trial.params) <= self.overrides]
        if own:  # the last: an earlier one with the same values was left running by a sweep that was killed
            self._trial = optuna.Trial(study, own[-1]._trial_id)

    @staticmethod
    def _words(parameters: dict[str, Any]) -> set[str]:
        return {f"{name}={value}" for name, value in parameters.items()}  # as the sweeper writes them

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the score; all ranks end together."""
        hopeless = False
        if self._trial is not None and not trainer.sanity_checking:
            self._trial.report(float(trainer.callback_metrics[self.monitor]), trainer.global_step)
            hopeless = self._trial.should_prune()
            if hopeless:
                self._trial.set_user_attr("pruned_at", trainer.global_step)
        if trainer.strategy.broadcast(hopeless):
            trainer.should_stop = True
