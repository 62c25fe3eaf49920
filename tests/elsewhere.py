"""A device that is not the CPU, on the CPU: mixed devices and waits for values show without a GPU.

Tensors of the device ``elsewhere`` hold one of the CPU each. What is computed with them is computed there, bit for bit,
unless it meets a tensor of the CPU, which is an error, as with CUDA. Transfers that a GPU would wait for are counted.

As a program it takes commands from stdin, a JSON list of lists of words: ``train``, ``evaluate`` or ``mfif``, the
device, and what follows. It carries them out in turn. Its last line is a JSON list of their status, operations on the
device, and waits by place.
"""

import collections
import json
import sys
import traceback
from pathlib import Path

import torch
from torch.utils import _pytree, backend_registration

NAME = "elsewhere"
ROOT = Path(__file__).parents[1]
aten = torch.ops.aten
operations = 0
waits = collections.Counter()


class Backend(backend_registration._DummyBackendModule):
    def get_amp_supported_dtype(self):
        return [torch.bfloat16]


backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=Backend())
DEVICE = torch.device(NAME, 0)


class Elsewhere(torch.Tensor):
    """A tensor of the device; `held` is that of the CPU."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held):
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, held.shape, device=DEVICE, **layout)

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return compute(function, args, kwargs or {})

    def tolist(self):
        return self.cpu().tolist()

    def numpy(self, *_, **__):
        raise TypeError(f"can't convert {DEVICE} device type tensor to numpy. Use Tensor.cpu() first.")

    __array__ = numpy

    def __reduce_ex__(self, protocol):
        return self.held.__reduce_ex__(protocol)

    def __repr__(self):
        return f"Elsewhere({self.held})"


def compute(function, args, kwargs):
    """Carry out an operation on what its tensors hold; the result is where they are, or where `device` says."""
    global operations
    operations += 1
    flat, structure = _pytree.tree_flatten((args, kwargs))
    away = [part for part in flat if isinstance(part, Elsewhere)]
    here = [part for part in flat if isinstance(part, torch.Tensor) and not isinstance(part, Elsewhere)]
    asked = [part for part in flat if isinstance(part, torch.device)]
    is_copy = function is aten.copy_.default
    is_transfer = is_copy or function is aten._to_copy.default
    by_index = function in (aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default)  # CPU's will do
    if away and any(part.ndim for part in here) and not is_transfer and not by_index:
        raise RuntimeError(f"Expected all tensors of {function} on one device, got some of {NAME} and some of the CPU.")

    there = asked[0].type == NAME if asked else bool(away)
    waited = function is aten._local_scalar_dense.default
    if is_transfer:
        there = isinstance(args[0], Elsewhere) if is_copy or not asked else there
        in_background = kwargs.get("non_blocking") or (is_copy and args[2:] == (True,))
        crosses = there != isinstance(args[1 if is_copy else 0], Elsewhere)
        waited = crosses and not in_background
    if waited:
        waits[_place()] += 1

    held = [
        part.held if isinstance(part, Elsewhere) else torch.device("cpu") if isinstance(part, torch.device) else part
        for part in flat
    ]
    args, kwargs = _pytree.tree_unflatten(held, structure)
    result = function(*args, **{**kwargs, "pin_memory": False} if "pin_memory" in kwargs else kwargs)
    known = {id(inner): outer for inner, outer in zip(held, flat, strict=True) if isinstance(inner, torch.Tensor)}
    in_place = function._schema.is_mutable

    def wrapped(part):
        if not isinstance(part, torch.Tensor):
            return part
        if in_place and id(part) in known:
            return known[id(part)]
        return Elsewhere(part) if there else part

    return _pytree.tree_map(wrapped, result)


def _place():
    ours = [frame for frame in traceback.extract_stack() if str(ROOT / "mfif") in frame.filename]
    return f"{Path(ours[-1].filename).name}:{ours[-1].name}" if ours else "Lightning"


def _on_device(operation):
    def carry_out(*args, **kwargs):
        return compute(operation, args, kwargs if operation is aten.copy_.default else {**kwargs, "device": DEVICE})

    return carry_out


# What torch itself calls where no tensor of the device is at hand yet.
library = torch.library.Library("aten", "IMPL")
for name, operation in {
    "empty.memory_format": aten.empty.memory_format,
    "empty_strided": aten.empty_strided.default,
    "copy_": aten.copy_.default,
}.items():
    library.impl(name, _on_device(operation), "PrivateUse1")
everything = torch.library.Library("_", "IMPL")
everything.fallback(lambda function, *args, **kwargs: compute(function, args, kwargs), "PrivateUse1")
everything.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")


def train(device, *overrides):
    """Train by train.py, with the device as Lightning's accelerator."""
    import hydra
    import kornia.enhance.jpeg
    from lightning.pytorch.accelerators import AcceleratorRegistry, CPUAccelerator

    import mfif.module  # noqa: F401  before there is another Generator, which annotations name
    import train as entry
    from mfif.config import CONFIG_DIR, register_schemas

    class Accelerator(CPUAccelerator):
        def setup_device(self, device):
            assert device == DEVICE

        @staticmethod
        def name():
            return NAME

    AcceleratorRegistry.register(NAME, Accelerator, override=True)
    # kornia does so for CUDA alone.
    kornia.enhance.jpeg._to_device_nonblocking = lambda tensor, *there: tensor.to(*there, non_blocking=True)
    kept, make = torch.Generator, torch.Generator
    torch.Generator = lambda device="cpu": make()  # of the CPU, so that the numbers are the same
    register_schemas()
    words = [*overrides, f"trainer.accelerator={device}"]
    if device == NAME:
        words.append(
            f"+trainer.strategy={{_target_: lightning.pytorch.strategies.SingleDeviceStrategy, device: '{DEVICE}'}}"
        )
    try:
        with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            config = hydra.compose("train", words)
        entry.main(config)
    finally:
        torch.Generator = kept
    return 0


def evaluate(device, *overrides):
    """Score by evaluate.py."""
    from hydra.core.global_hydra import GlobalHydra

    import evaluate as entry
    from mfif.entry import run_entry_point

    GlobalHydra.instance().clear()
    sys.argv = ["evaluate.py", *overrides, f"device={DEVICE if device == NAME else device}"]
    return run_entry_point(entry.main, "evaluate")


def mfif(device, *words):
    """Do what the command line does."""
    from mfif.cli import main

    return main([*words, "--device", str(DEVICE) if device == NAME else device])


def main():
    global operations
    sys.path.insert(0, str(ROOT))
    commands = {"train": train, "evaluate": evaluate, "mfif": mfif}
    done = []
    for name, *words in json.load(sys.stdin):
        operations = 0
        waits.clear()
        status = commands[name](*words)
        done.append({"status": status, "operations": operations, "waits": dict(waits)})
    print("\n" + json.dumps(done))


if __name__ == "__main__":
    main()
