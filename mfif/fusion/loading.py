"""Methods by their name or from a checkpoint, refinements by name, and devices."""

from pathlib import Path

import torch
from torch import nn

import mfif.models
from mfif.errors import InputError, suggest
from mfif.fusion.fusers import Fuser, Method
from mfif.fusion.image_fusers import ChannelByChannel, ImageFuser
from mfif.fusion.refine import GuidedFilter, InTurn, Refinement, RemoveSmallRegions
from mfif.fusion.weights import SHIPPED, checkpoint_at, load_network, shipped_weights


def load(checkpoint_or_name: str | Path, device: torch.device | str = "cpu") -> Method:
    """Load a method to fuse with.

    Args:
        checkpoint_or_name: A checkpoint of ``train.py``, the folder of a run, whose best checkpoint is meant, weights
            of ``mfif export``, or a name of the ``method`` group (see `method_names`).
        device: Where it shall run.

    Returns:
        The method. A map is thresholded at 0.5 where the name does not say otherwise, and refined where that is part of
        the method: that of `mfif.models.Cnn` and `mfif.models.PixelCnn`, as by ``refine=liu2017``. Networks of ours see
        large images in several resolutions, see `mfif.fusion.scales`.

    Raises:
        InputError: There is no such file or name, or the file is no checkpoint of ours.
    """
    name = str(checkpoint_or_name)
    path = Path(name) if name in SHIPPED else checkpoint_at(Path(name))
    if path.is_file():
        return _method_of(load_network(path)).to(device)
    if name in SHIPPED:
        return load_shipped(name).to(device)
    if name in method_names():
        # Networks do without Hydra, which takes a while to import.
        from hydra.utils import instantiate
        from omegaconf import OmegaConf

        from mfif.config import CONFIG_DIR

        node = OmegaConf.load(CONFIG_DIR / "method" / f"{name}.yaml")
        method: Method = instantiate(node, _convert_="all")
        return method.to(device)
    if path.suffix or len(path.parts) > 1:
        raise InputError(f"There is no checkpoint at {path}. Train one with: python train.py experiment=quick.")
    raise InputError(
        f"There is no method {name!r} and no such checkpoint.{suggest(name, method_names())} "
        f"Methods: {', '.join(method_names())}."
    )


def load_shipped(name: str) -> Method:
    """Load a network that ships with the package.

    Args:
        name: One of `mfif.fusion.weights.SHIPPED`.

    Returns:
        The method, on the CPU; its map is thresholded at 0.5 and is not refined.
    """
    return _method_of(load_network(shipped_weights(name)))


def _method_of(network: nn.Module) -> Method:
    if getattr(network, "gives_image", False):
        return ImageFuser(ChannelByChannel(network))
    if isinstance(network, mfif.models.Cnn | mfif.models.PixelCnn):
        return Fuser(network, refine=InTurn({"small_regions": RemoveSmallRegions(), "guided_filter": GuidedFilter()}))
    return Fuser(network, scales=None)


def method_names() -> list[str]:
    """Names of the ``method`` group that need nothing but images: no checkpoint, and no true map."""
    from omegaconf import OmegaConf

    from mfif.config import CONFIG_DIR

    nodes = {path.stem: OmegaConf.load(path) for path in (CONFIG_DIR / "method").glob("*.yaml")}
    return sorted(name for name, node in nodes.items() if "checkpoint_or_name" not in node and name != "ideal")


def choose_device(device: str) -> torch.device:
    """The device of a name; ``auto`` is a GPU if there is one.

    Raises:
        InputError: The device is not there.
    """
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"Expected `device` to be one of this machine, got {device!r}. Try auto or cpu.") from error
    return torch.device(device)


def load_refinement(name: str) -> Refinement | None:
    """A refinement by its name in the ``refine`` group; None for ``none``.

    Raises:
        InputError: There is no such name.
    """
    import hydra

    from mfif.config import CONFIG_DIR

    names = sorted(path.stem for path in (CONFIG_DIR / "refine").glob("*.yaml"))
    if name not in names:
        raise InputError(f"There is no refinement {name!r}.{suggest(name, names)} Refinements: {', '.join(names)}.")
    with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        node = hydra.compose(f"refine/{name}").get("refine")
    refinement: Refinement | None = hydra.utils.instantiate(node, _convert_="all") if node else None
    return refinement
