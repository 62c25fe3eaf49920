"""Every file of every group composes, holds its schema and can be built; what training is made of trains."""

from contextlib import nullcontext
from pathlib import Path

import hydra
import pytest
import torch
from hydra.utils import instantiate
from lightning.pytorch.utilities import move_data_to_device
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import load_file

from mfif.config import CONFIG_DIR, check_config, register_schemas
from mfif.fusion.weights import shipped_weights
from mfif.module import FusionModule

# What an option needs from the user before it can be built, and what keeps a test from fetching or writing elsewhere.
NEEDS = {
    "photos/folder": ["photos.root=."],
    "photos/div2k": ["photos.root=nowhere"],
    "experiment/context": ["photos.root=."],
    "experiment/further": ["photos.root=.", "weights=null"],  # for what ships is wider than these networks
    "network/mfnet": ["experiment=mfnet"],  # it gives no map to score
}
TRAINED = {"ablation", "experiment", "kernel", "loss", "network", "optimizer", "scheduler", "template"}
EVALUATE_ONLY = {"benchmark", "method", "refine", "table"}
OPTIONS = sorted(
    str(path.relative_to(CONFIG_DIR).with_suffix(""))
    for path in CONFIG_DIR.glob("*/*.yaml")
    if path.parent.name != "sweep"  # they change Hydra itself: test_sweeps.py runs them
)
TINY = [
    "network.width=4",
    "data.crops=16",
    "data.crop=32",
    "data.batch_size=4",
    "data.val_pairs=4",
    "trainer.max_steps=2",
    "trainer.val_check_interval=2",
    "trainer.accelerator=cpu",
    "trainer.log_every_n_steps=1",
]


def compose(name: str, overrides: list[str], output: Path) -> DictConfig:
    register_schemas()
    with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return hydra.compose(name, overrides=[*overrides, f"output={output}"])


@pytest.mark.parametrize("experiment", [name for name in OPTIONS if name.startswith("experiment/")])
def test_every_experiment_takes_every_kernel(experiment: str, tmp_path: Path) -> None:
    """None sets a key of its own that another kernel does not have."""
    for option in (name for name in OPTIONS if name.startswith("kernel/")):
        words = [experiment.replace("/", "="), option.replace("/", "="), *NEEDS.get(experiment, [])]
        check_config(compose("train", words, tmp_path))


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_builds(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.chdir(root)  # `photos.root=.` and relative folders
    monkeypatch.setenv("WANDB_MODE", "disabled")
    group, name = option.split("/")
    entry = "evaluate" if group in EVALUATE_ONLY else "train"
    overrides = [f"{group}={name}", *NEEDS.get(option, [])]
    if group in ("benchmark", "table"):
        overrides.append("benchmark.root=.")
    config = compose(entry, overrides, tmp_path)
    awaits_weights = group == "method" and "checkpoint_or_name" in config.method[name]
    if awaits_weights:
        config.method[name].checkpoint_or_name = str(tmp_path / "none.ckpt")
    check_config(config)
    if group in ("experiment", "ablation", "debug"):
        return  # built and trained below, and in test_debug.py
    if group == "table":
        assert all(instantiate(config[part], _convert_="all") for part in ("method", "benchmark", "metrics"))
        return
    if awaits_weights:
        with pytest.raises(hydra.errors.InstantiationException, match="no checkpoint at"):
            instantiate(config.method)
        return
    if option.startswith("trainer/") and not torch.cuda.is_available():
        # A GPU is asked for at once; everything else about the option is checked.
        config.trainer.accelerator = "cpu"
    assert instantiate(OmegaConf.select(config, group), _convert_="all") is not None


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.split("/")[0] in TRAINED])
def test_every_option_of_training_takes_steps(option: str, tmp_path: Path, photos: Path, root: Path) -> None:
    import train

    group, name = option.split("/")
    overrides = [f"{group}={name}", *NEEDS.get(option, []), "photos=folder", f"photos.root={photos}", "logger=csv"]
    if group not in ("experiment", "network"):  # which decide what there is to draw; drawing takes longer than training
        overrides.append("~callbacks.curves")
    config = compose("train", [*overrides, *TINY], tmp_path)
    train.main(config)
    before = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert before["global_step"] == 2


def test_a_training_starts_from_weights_but_resumes_from_its_own(tmp_path: Path, photos: Path, root: Path) -> None:
    import train

    weights = tmp_path / "fast.safetensors"
    weights.write_bytes(shipped_weights("fast").read_bytes())
    network = ["network=context", "network.width=8", "network.detail=4"]
    overrides = [
        *network,
        f"weights={weights}",
        "photos=folder",
        f"photos.root={photos}",
        *TINY[1:],
        "~callbacks.curves",
    ]
    train.main(compose("train", [*overrides, "optimizer.lr=0"], tmp_path))
    path = tmp_path / "checkpoints" / "last.ckpt"
    begun = torch.load(path, weights_only=True)["state_dict"]
    shipped = load_file(weights)
    assert all(torch.equal(begun[f"network.{key}"], value.float()) for key, value in shipped.items())
    weights.unlink()  # what a run started from need not be there to resume it
    resumed = [*overrides, "optimizer.lr=0", f"resume={tmp_path}", "trainer.max_steps=3"]
    content = torch.load(path, weights_only=True)
    content["state_dict"] = {key: value + 1 for key, value in begun.items()}
    torch.save(content, path)
    train.main(compose("train", resumed, tmp_path))
    further = torch.load(path, weights_only=True)
    assert further["global_step"] == 3
    assert all(torch.equal(value, begun[key] + 1) for key, value in further["state_dict"].items())


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.startswith("experiment/")])
def test_no_step_of_an_experiment_reads_a_value(option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tensors of the meta device have no values, so a step that reads one, for which a GPU would be waited for, fails.
    overrides = [f"experiment={option.split('/')[1]}", *NEEDS.get(option, []), "data.crops=16", "data.batch_size=8"]
    config = compose("train", [*overrides, "data.synthesizer.noise=0"], tmp_path)  # there is no generator of noise
    data = instantiate(config.data, _convert_="all")
    draw = move_data_to_device(next(iter(data.train_dataloader())), torch.device("meta"))
    data.banks["train"] = torch.zeros(data.crops, 1, data.crop, data.crop, dtype=torch.uint8, device="meta")
    pair = data.on_after_batch_transfer(draw, 0)
    assert pair.a.is_meta
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # nor autocast
    monkeypatch.setattr(FusionModule, "log", lambda *_, **__: None)  # there is no trainer to tell
    with torch.device("meta"):
        module = FusionModule(
            *(instantiate(config[part], _convert_="all") for part in ("network", "loss", "optimizer"))
        )
    loss = module.training_step(pair, 0)
    loss.backward()
    assert loss.is_meta
    with pytest.raises(RuntimeError, match="meta"):
        loss.item()


def test_paper_is_the_paper(tmp_path: Path) -> None:
    config = compose("train", ["experiment=paper"], tmp_path)
    assert config.photos._target_.endswith("Div2kPhotos")
    assert (config.data.crops, config.data.crop, config.data.batch_size) == (60_000, 32, 32)
    assert (config.kernel.sizes, config.kernel.sigma) == ([3, 7, 11, 15], 1.0)
    assert config.data.synthesizer.exchange
    assert not config.data.synthesizer.noise
    assert not config.data.colour
    assert config.trainer.max_steps == 200_000
    assert config.trainer.gradient_clip_val is None
    assert {name: weight for name, weight in config.loss.items() if weight and name != "_target_"} == {"l1": 1}
    assert (config.data.synthesizer.boundary, config.data.synthesizer.edge) == ("selection", 0)
    assert config.threshold == 0.5
    assert instantiate(config.data).synthesizer.pairs_per_crop * config.data.crops == 1_440_000
    network = instantiate(config.network)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_257_217
    optimizer = instantiate(config.optimizer)(network.parameters())
    assert isinstance(optimizer, torch.optim.Adam)
    scheduler = instantiate(config.scheduler)(optimizer)
    rates = {}
    for step in range(150_001):
        if step in (0, 49_999, 50_000, 149_999, 150_000):
            rates[step] = optimizer.param_groups[0]["lr"]
        scheduler.last_epoch += 1
        optimizer.param_groups[0]["lr"] = scheduler.get_lr()[0]
    assert rates == pytest.approx({0: 1e-4, 49_999: 1e-4, 50_000: 1e-5, 149_999: 1e-5, 150_000: 1e-6})


@pytest.mark.parametrize(
    ("change", "steps"),
    [("callbacks.pictures=null", 1), ("~callbacks.pictures", 1), ("callbacks.pictures.every_n_steps=8", 8)],
)
def test_the_table_of_scores_stands_without_the_pictures_it_follows(change: str, steps: int, tmp_path: Path) -> None:
    config = compose("train", ["experiment=quick", change], tmp_path)
    check_config(config)
    assert config.callbacks.scores.every_n_steps == steps
