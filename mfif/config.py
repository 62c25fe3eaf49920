"""The configuration's schema.

The root has a dataclass; below it, the arguments of whatever a node's ``_target_`` names are the schema.
"""

import inspect
import types
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict

from mfif.errors import InputError, suggest
from mfif.launch import register_resolvers

_PACKAGED = Path(__file__).parent / "conf"
CONFIG_DIR = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parent.parent / "conf"
"""Folder of the configurations: inside an installed package, beside it in a checkout."""

Node = dict[str, Any]
"""A group's option, its schema being the signature of its target."""


@dataclass
class TrainConfig:
    """Keys of ``conf/train.yaml``.

    Attributes:
        name: Names the folder of the run.
        seed: What weights, crops and draws depend on.
        weights: What the network starts from: weights that ship, a checkpoint or the folder of a run. None draws them.
        resume: Checkpoint, or folder of a run, to go on from.
        output: Folder of this run.
        threshold: Level at which the map is cut in validation; None keeps it continuous.
        channels_last: Whether weights and features lie channels-last in memory.
        compile: Whether the network is compiled by ``torch.compile``, or in which of its modes.
        graph: Whether synthesis is one CUDA graph, forward and backward another; on one GPU.
        deterministic: Whether only algorithms are used that give the same result every time, bit for bit.
    """

    data: Node = MISSING
    photos: Node = MISSING
    kernel: Node = MISSING
    template: Node = MISSING
    network: Node = MISSING
    loss: Node = MISSING
    optimizer: Node = MISSING
    scheduler: Node = MISSING
    averaging: Node = field(default_factory=dict)
    metrics: Node = MISSING
    trainer: Node = MISSING
    callbacks: Node = field(default_factory=dict)
    logger: Node = field(default_factory=dict)
    name: str = MISSING
    seed: int = 0
    weights: str | None = None
    resume: str | None = None
    output: str = MISSING
    threshold: float | None = 0.5
    channels_last: bool = True
    compile: bool | str = False
    graph: bool = False
    deterministic: bool = False


@dataclass
class EvaluateConfig:
    """Keys of ``conf/evaluate.yaml``.

    Attributes:
        checkpoint: What ``method=checkpoint`` loads.
        device: ``auto``, ``cpu``, ``cuda`` or another device of torch.
        threshold: Level at which maps are cut; None keeps them continuous. Methods without a threshold have none here.
        tile: Side of the tiles a large image is cut into, in pixels.
        precision: What networks compute in: ``"32"`` or ``"bf16"``; see `mfif.fusion.fusers.Fuser`.
        self_ensemble: In how many orientations networks see a pair: 1, 2, 4 or 8; see `mfif.fusion.fusers.Fuser`.
        scales: In how many resolutions networks see a pair, None for as many as its size asks for; see there, too.
        on_error: ``stop`` at the first pair that cannot be used, or ``skip`` it.
        pictures: Whether fused images, decision maps and differences are written.
        output: Folder of this evaluation.
    """

    method: Node = MISSING
    benchmark: Node = MISSING
    refine: Node = field(default_factory=dict)
    metrics: Node = MISSING
    photos: Node = MISSING
    checkpoint: Any = None
    published: str | None = None
    reference_points: list[str] = field(default_factory=list)
    device: str = "auto"
    threshold: float | None = 0.5
    tile: int = 768
    precision: str = "32"
    self_ensemble: int = 1
    scales: int | None = 1
    on_error: str = "stop"
    pictures: bool = True
    workers: int | None = None
    cache: str | None = None
    output: str = MISSING


def register_schemas() -> None:
    """Make the root schemas known to Hydra, as ``train_schema`` and ``evaluate_schema``, and what they interpolate."""
    register_resolvers()
    store = ConfigStore.instance()
    store.store(name="train_schema", node=TrainConfig)
    store.store(name="evaluate_schema", node=EvaluateConfig)


def leave_out(config: DictConfig) -> None:
    """Take the members that are null out of the groups that have members, in place: ``callbacks.curves=null``.

    Args:
        config: A composed configuration. The root of the benchmarks is no member, and may be null.
    """
    for group in ("benchmark", "callbacks", "logger", "method", "metrics"):
        members = OmegaConf.to_container(config[group]) if group in config else {}
        for name, member in members.items():  # type: ignore[union-attr]
            if member is None and (group, name) != ("benchmark", "root"):
                with open_dict(config):
                    del config[group][name]


def check_config(config: DictConfig) -> None:
    """Hold every node with a ``_target_`` against the signature of its target, before anything is built.

    Args:
        config: A composed configuration.

    Raises:
        InputError: A key is no argument of its target, a value has another type than annotated, a required one is
            missing, or the target cannot be imported.
    """
    schema = OmegaConf.get_type(config)
    if is_dataclass(schema):  # a key added by +KEY=VALUE gets past the schema
        known = [item.name for item in fields(schema)]
        for key in map(str, config):
            if key not in known:
                hint = suggest(key, known)
                raise InputError(f"Unknown key `{key}`.{hint} The root takes: {', '.join(known)}.")
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise InputError(f"No value for {', '.join(missing)}. Give one, for example {missing[0]}=VALUE.")
    for name, node in OmegaConf.to_container(config, resolve=True).items():  # type: ignore[union-attr]
        if name in ("averaging", "refine") and node and "_target_" not in node:
            given = ", ".join(map(str, node))
            raise InputError(f"Expected no values for {name}=none, got {given}. Choose another option of {name}.")
        _check_node(str(name), node)


def _check_node(path: str, node: Any) -> None:
    if isinstance(node, list):
        for index, item in enumerate(node):
            _check_node(f"{path}.{index}", item)
    if not isinstance(node, dict):
        return
    if "_target_" in node:
        _check_call(path, node)
    for key, value in node.items():
        _check_node(f"{path}.{key}", value)


def _check_call(path: str, node: Node) -> None:
    name = node["_target_"]
    try:
        target = hydra.utils.get_object(name)
    except Exception as error:
        raise InputError(f"Expected {path}._target_ to name something that can be imported, got {name!r}.") from error
    try:
        parameters = inspect.signature(target).parameters
    except ValueError:  # a type written in C, such as datetime.timedelta, tells no signature
        return
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    try:
        annotations = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except NameError:  # other libraries annotate with names they import for type checkers only
        annotations = {}
    for key, value in node.items():
        if key.startswith("_"):
            continue
        if key not in parameters and not open_ended:
            known = ", ".join(parameters)
            raise InputError(f"Unknown key `{path}.{key}`.{suggest(key, parameters)} {name} takes: {known}.")
        if not _fits(value, annotations.get(key, Any)):
            expected = getattr(annotations[key], "__name__", str(annotations[key]))
            raise InputError(f"Expected `{path}.{key}` to be {expected}, got {value!r} ({type(value).__name__}).")


def _fits(value: Any, annotation: Any) -> bool:
    """Whether a plain value can be meant by an annotation; what is not plain is left to the constructor."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return any(_fits(value, choice) for choice in get_args(annotation))
    if origin is Literal:
        return value in get_args(annotation)
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation in (bool, str):
        return isinstance(value, annotation)
    if annotation is type(None):
        return value is None
    return True
