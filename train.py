"""Train a network that fuses multi-focus photographs: `python train.py --help`."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from mfif.config import CONFIG_DIR, check_config, leave_out
from mfif.entry import run_entry_point


@hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="train")
def main(config: DictConfig) -> float | None:
    """Build everything the configuration names, train, return the best score of validation."""
    # Imported here, so that --help and mistakes in the configuration answer at once.
    from functools import partial

    import lightning
    from hydra.utils import instantiate

    from mfif.launch import cluster_plugins, end_with_launcher, one_job, restarted_run
    from mfif.memory import keep_freed_memory
    from mfif.metrics import FusionMetrics
    from mfif.module import FusionModule
    from mfif.training.callbacks import fitting, without_stand_ins
    from mfif.training.provenance import write_provenance
    from mfif.training.runs import find_checkpoint, quiet_logs, start_from, summarize
    from mfif.training.survival import WholeCheckpoints
    from mfif.training.tracking import tracking

    leave_out(config)
    check_config(config)
    build = partial(instantiate, _convert_="all")
    quiet_logs()
    keep_freed_memory()
    end_with_launcher()
    lightning.seed_everything(config.seed, verbose=False)

    configuration = OmegaConf.to_container(config, resolve=True)
    loggers = list(build(config.logger).values())
    with tracking(loggers, configuration):
        data = build(config.data)
        network = build(config.network)
        module = FusionModule(
            network=network,
            loss=build(config.loss),
            optimizer=build(config.optimizer),
            scheduler=build(config.scheduler),
            metrics=FusionMetrics(build(config.metrics)),
            configuration=configuration,
            threshold=config.threshold,
            channels_last=config.channels_last,
            compile=config.compile,
            graph=config.graph,
        )
        averaging = [build(config.averaging)] if config.averaging else []
        callbacks = [*averaging, *fitting(build(config.callbacks).values(), loggers)]
        trainer = build(
            config.trainer,
            callbacks=callbacks,
            logger=loggers,
            plugins=cluster_plugins(),
            **without_stand_ins(callbacks, config.trainer),
        )
        trainer.strategy.checkpoint_io = WholeCheckpoints()
        checkpoint = find_checkpoint(restarted_run(config.output) or config.resume, module, trainer.max_steps)
        if checkpoint is None:
            start_from(config.weights, network)
        if trainer.is_global_zero:
            write_provenance(config, Path(config.output))
        with one_job(trainer, __file__):
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
        return summarize(trainer, Path(config.output))


if __name__ == "__main__":
    sys.exit(run_entry_point(main, "train"))
