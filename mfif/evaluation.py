"""Methods x benchmarks -> scores and pictures, pair by pair."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor

from mfif.data.benchmarks import BenchmarkPair, PairLoader, to_pixels
from mfif.errors import InputError
from mfif.images import write_image
from mfif.inference import Fuser, blend_levels
from mfif.metrics import FusionMetric, FusionMetrics
from mfif.report import Scores
from mfif.viz import difference, panel, to_uint8

log = logging.getLogger(__name__)


class Benchmark(Protocol):
    """A named list of pairs, see `mfif.data.benchmarks`."""

    def pairs(self) -> list[tuple[str, PairLoader]]:
        """Name of each pair and what loads it."""


class Evaluation:
    """Runs methods over benchmarks and keeps what is done on disk at every moment.

    Args:
        methods: Methods by name, on their device.
        metrics: Scores by name; those that need a truth the pair does not have are left out.
        output: Folder for ``scores.csv``, ``summary.md`` and the pictures.
        device: Where the methods run.
        on_error: Whether a pair that cannot be used stops the evaluation or is passed over, with a note.
        pictures: Whether fused images, decision maps and differences are written.

    Raises:
        InputError: `on_error` is neither of the two.
    """

    def __init__(
        self,
        methods: Mapping[str, Fuser],
        metrics: Mapping[str, FusionMetric],
        output: Path,
        *,
        device: torch.device | str = "cpu",
        on_error: Literal["stop", "skip"] = "stop",
        pictures: bool = True,
    ) -> None:
        if on_error not in ("stop", "skip"):
            raise InputError(f"Expected `on_error` to be stop or skip, got {on_error!r}.")
        self.methods = methods
        self.metrics = FusionMetrics(metrics)
        self.output = output
        self.device = device
        self.on_error = on_error
        self.pictures = pictures
        self.scores = Scores()
        self.skipped: list[str] = []

    def run(self, benchmarks: Mapping[str, Benchmark]) -> None:
        """Evaluate all methods on all benchmarks.

        Raises:
            InputError: A pair cannot be used, and `on_error` is ``"stop"``; the summary of the pairs before is there.
        """
        try:
            for name, benchmark in benchmarks.items():
                for pair_name, load in benchmark.pairs():
                    self._pair(name, pair_name, load)
        finally:
            if self.scores.rows:
                self.scores.write_markdown(self.output / "summary.md", [*self.skipped, *self.scores.undefined()])

    def _pair(self, benchmark: str, name: str, load: PairLoader) -> None:
        try:
            pair = load()
            results = {method: self._fuse(pair, method) for method in self.methods}
        except InputError as error:
            if self.on_error == "stop":
                raise InputError(f"{error} Or pass such pairs over with on_error=skip.") from error
            log.warning("Skipped %s/%s: %s", benchmark, name, error)
            self.skipped.append(f"Skipped {benchmark}/{name}: {error}")
            return
        for method, (fused, known, scores) in results.items():
            if self.pictures:
                self._draw(self.output / benchmark / method / name, fused, known)
            self.scores.add(benchmark, name, method, scores)
        self.scores.write_csv(self.output / "scores.csv")

    def _fuse(self, pair: BenchmarkPair, method: str) -> tuple[Tensor, dict[str, Tensor], dict[str, float]]:
        """Fused image in the type of the sources; all that is known of the pair, in [0, 1]; scores."""
        white = torch.iinfo(pair.a.dtype).max
        a, b = (source.to(self.device).float() / white for source in (pair.a, pair.b))
        begin = time.perf_counter()
        alpha = self.methods[method].decision_map(a, b).cpu()
        seconds = time.perf_counter() - begin
        fused = blend_levels(pair.a, pair.b, alpha)
        images = {"fused": fused, "source_a": pair.a, "source_b": pair.b, "sharp": pair.sharp}
        known = {name: image.float() / white for name, image in images.items() if image is not None}
        known |= {"alpha": alpha} | ({} if pair.alpha is None else {"alpha_true": pair.alpha})
        try:
            scores = {name: float(score) for name, score in self.metrics.score(**known).items()}
        except ValueError as error:
            raise InputError(f"{pair.name} cannot be scored: {error}") from error
        return fused, known, {**scores, "seconds": seconds}

    def _draw(self, stem: Path, fused: Tensor, known: Mapping[str, Tensor]) -> None:
        shown = difference(known["fused"], known["source_a"])
        write_image(stem.with_name(f"{stem.name}-fused.png"), to_pixels(fused))
        write_image(stem.with_name(f"{stem.name}-map.png"), to_uint8(known["alpha"][0]))
        write_image(stem.with_name(f"{stem.name}-difference.png"), to_uint8(shown[0]))
        columns = ("source_a", "source_b", "alpha_true", "alpha", "fused")
        row = [*(known[name] for name in columns if name in known), shown]
        write_image(stem.with_name(f"{stem.name}-panel.png"), panel([[image[0] for image in row]]))
