"""What an iteration of training costs beside the bare network step: `make bench`.

A training of `train.py` runs as it always does, with its draws, synthesis, clipping, schedule, logging, progress and
callbacks. A callback times it in blocks of iterations, and after each block makes as many bare steps (forward, loss,
backward, optimizer on a fixed batch) of a copy of the network, and a product of matrices. Validation, with metrics,
pictures and checkpoints, is timed apart and shared out over the iterations between two of them.
"""

import copy
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig

from benchmarks.bare import BareStep, record_graph
from benchmarks.timing import Call, MatrixProduct, Times, medians, now, parse, parser, ratio, write
from mfif.config import CONFIG_DIR, register_schemas
from mfif.module import FusionModule
from mfif.pair import FocusPair


class Case(NamedTuple):
    """A training to look at.

    Attributes:
        words: What `train.py` is told.
        block: Iterations between two looks, a multiple of what logging takes or the same share of it.
        blocks: How many of them.
        pairs: Validation pairs it is measured with.
    """

    words: tuple[str, ...]
    block: int
    blocks: int
    pairs: int


CASES = {
    "quick, width 16": Case(("experiment=quick",), block=10, blocks=24, pairs=512),
    "paper, width 128": Case(("experiment=paper", "photos=library"), block=1, blocks=6, pairs=64),
}


# A GPU is waited for at the end of a block, so that its blocks are long.
LONG = {"block": 100, "blocks": 8, "pairs": 960}
RECORDED = ("experiment=paper", "photos=library", "graph=true", "compile=true", "optimizer.fused=true")


class Probe(Callback):
    """Times a training and the bare step in turn; writes ``probe.json``.

    Args:
        directory: Where to.
        block: Iterations in a block.
    """

    def __init__(self, directory: str, block: int) -> None:
        self.path = Path(directory) / "probe.json"
        self.block = block
        self.times: Times = {"training": [], "bare step": [], "matrix product": []}
        self.validations: list[float] = []
        self._iterations = 0
        self._validated = False
        self._begin = self._ended = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Leave a validation that has just been out of the block."""
        if self._validated:
            took = now() - self._ended
            self.validations.append(took)
            self._begin += took
            self._validated = False

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that there is one."""
        self._validated = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: FocusPair, batch_idx: int
    ) -> None:
        """At the end of a block, time it and the bare steps."""
        self._iterations += 1
        if self._iterations % self.block == 0:
            took = now() - self._begin
            if self._iterations == self.block:
                self._prepare(trainer, pl_module, batch)
            elif self._iterations > 2 * self.block:  # the first two warm up: the training, and what it is compared with
                self.times["training"].append(took / self.block)
            self._compare(record=self._iterations > 2 * self.block)
            self._begin = self._ended = now()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what was seen."""
        content = {"times": self.times, "validations": self.validations, "flop": self._flop}
        self.path.write_text(json.dumps(content))

    def _prepare(self, trainer: Trainer, module: LightningModule, batch: FocusPair) -> None:
        assert isinstance(module, FusionModule)
        compiled = module.hparams["configuration"]["compile"]
        graph = module.hparams["configuration"]["graph"]
        plain, bare = (
            FusionModule(
                copy.deepcopy(module.network), module.loss, module._optimizer, channels_last=False, compile=words
            )
            for words in (False, compiled)
        )
        self._flop = MatrixProduct.count(BareStep(plain, batch, trainer.precision))
        step = BareStep(bare, batch, trainer.precision, **({"capturable": True} if graph else {}))
        self._step: Call = record_graph(step) if graph else step
        dtype = torch.bfloat16 if "bf16" in trainer.precision else torch.float32
        self._product = MatrixProduct(module.device, dtype)

    def _compare(self, record: bool) -> None:
        for name, call, count in (("bare step", self._step, self.block), ("matrix product", self._product, 1)):
            begin = now()
            for _ in range(count):
                call()
            if record:
                self.times[name].append((now() - begin) / count)


def cases(device: str) -> dict[str, Case]:
    """The trainings of a device."""
    if device != "cuda":
        return CASES
    longer = {name: case._replace(**LONG) for name, case in CASES.items()}
    return {**longer, "paper, recorded": Case(RECORDED, **LONG)}


def compose(case: Case, device: str, output: str, words: Sequence[str] = ()) -> DictConfig:
    """What `train.py` is told."""
    register_schemas()
    places = [f"output={output}", f"trainer={'gpu' if device == 'cuda' else 'cpu'}"]
    with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return hydra.compose("train", overrides=[*case.words, *places, *words])


def measure(name: str, case: Case, device: str, words: Sequence[str] = ()) -> dict[str, Any]:
    """Run a training of so many blocks, and say what it costs beside the bare step."""
    import train

    with tempfile.TemporaryDirectory() as folder:
        usual = compose(case, device, folder)
        interval, pairs = usual.trainer.val_check_interval, usual.data.val_pairs
        length = [f"trainer.max_steps={case.block * (case.blocks + 2)}", f"data.val_pairs={case.pairs}"]
        probe = [f"+callbacks.probe.{key}={value}" for key, value in {"directory": folder, "block": case.block}.items()]
        probe.append("+callbacks.probe._target_=benchmarks.step.Probe")
        at = f"trainer.val_check_interval={min(interval, case.block * case.blocks)}"
        config = compose(case, device, folder, [*length, at, *probe, *words])
        train.main(config)
        seen = json.loads((Path(folder) / "probe.json").read_text())
    times, flop = seen["times"], seen["flop"]
    steps = ratio(times, "training", "bare step")
    milliseconds = medians(times)
    validation = statistics.median(seen["validations"]) * pairs / case.pairs
    product = MatrixProduct(device)
    return {
        "training": name,
        "precision": str(config.trainer.precision),
        "bare_ms": milliseconds["bare step"],
        "training_ms": milliseconds["training"],
        "ratio_without_validation": steps,
        "validation_ms": validation,
        "validation_every": interval,
        "ratio": steps + validation / interval / milliseconds["bare step"],
        "gflop": flop / 1e9,
        "bare_share_of_peak": product.share(times, "bare step", flop),
    }


def table(rows: list[dict[str, Any]]) -> None:
    """Print them."""
    print(f"{'training':20}{'precision':>12}{'bare ms':>10}{'training ms':>13}{'ratio':>8}{'of peak':>9}")
    for row in rows:
        figures = f"{row['bare_ms']:>10.1f}{row['training_ms']:>13.1f}{row['ratio']:>8.3f}"
        print(f"{row['training']:20}{row['precision']:>12}{figures}{row['bare_share_of_peak']:>9.0%}")


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--only", choices=cases("cuda"))
    own.add_argument("words", nargs="*", help="what `train.py` shall be told besides: optimizer.fused=true ...")
    options = parse(own)
    chosen = cases(options.device)
    if options.only:
        if options.only not in chosen:
            own.error(f"{options.only!r} wants --device cuda")
        chosen = {options.only: chosen[options.only]}
    rows = [measure(name, case, options.device, options.words) for name, case in chosen.items()]
    table(rows)
    if not options.only and not options.words:
        write("step", options.device, rows=rows)


if __name__ == "__main__":
    main()
