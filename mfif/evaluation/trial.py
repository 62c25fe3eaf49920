"""One method on one pair: fused or taken from the cache, measured, scored and drawn."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mfif.data.benchmarks import BenchmarkPair, to_pixels
from mfif.evaluation.cache import Cache, Fused
from mfif.evaluation.fingerprint import fingerprint
from mfif.evaluation.measure import measured
from mfif.fusion.fusers import Fusion, IdealFuser, Method
from mfif.images import write_image
from mfif.metrics import FusionMetric, FusionMetrics
from mfif.report.scores import Row
from mfif.report.viz import difference, panel, to_uint8

log = logging.getLogger(__name__)


class Task(NamedTuple):
    """A method to try on a pair.

    Attributes:
        benchmark: Name of the benchmark.
        pair: A pair of it.
        method: Name of the method.
    """

    benchmark: str
    pair: BenchmarkPair
    method: str


@dataclass(frozen=True)
class Trials:
    """All that a process needs to try methods on pairs.

    Args:
        methods: The methods by name.
        metrics: Scores by name; those that need what the pair or the method does not have are left out.
        cache: Where results are kept.
        pictures: Folder for the fused images, decision maps and differences; None draws none.
        device: Where the methods run.
    """

    methods: Mapping[str, Method]
    metrics: Mapping[str, FusionMetric]
    cache: Cache
    pictures: Path | None
    device: str

    def run(self, task: Task) -> Row:
        """Try a method on a pair; whatever the method or a metric raises becomes the error of the row.

        Args:
            task: The method and the pair.

        Returns:
            Scores, and the costs of the call that made the image, be it now or when it was put into the cache.

        Raises:
            InputError: The disk has no room for the cache or the pictures.
        """
        benchmark, pair, method = task
        row = Row(benchmark, pair.name, method)
        try:
            key, kept = self._kept(task)
            fused = kept or self._fuse(task)
        except Exception as error:
            log.debug("%s failed on %s/%s", method, benchmark, pair.name, exc_info=error)
            return replace(row, error=_sentence(error))
        if kept is None:
            self.cache.keep_fused(key, fused)
        known = _known(pair, fused.fusion)
        if self.pictures is not None:
            _draw(self.pictures / benchmark / method / pair.name, fused.fusion, known)
        return self._score(replace(row, scores=fused.cost.known()), known)

    def draw_sources(self, benchmark: str, pair: BenchmarkPair) -> None:
        """Write what the methods are given, and the truth where it is known, beside the folders of the methods.

        Args:
            benchmark: Name of the benchmark.
            pair: A pair of it.

        Raises:
            InputError: The disk has no room.
        """
        if self.pictures is None:
            return
        images = {"A": pair.a, "B": pair.b, "sharp": pair.sharp}
        drawn = {ending: to_pixels(image) for ending, image in images.items() if image is not None}
        if pair.alpha is not None:
            drawn["map"] = to_uint8(pair.alpha[0])
        for ending, pixels in drawn.items():
            write_image(self.pictures / benchmark / f"{pair.name}-{ending}.png", pixels)

    def _kept(self, task: Task) -> tuple[str, Fused | None]:
        """What a fusion depends on, and the one kept under that key."""
        key = fingerprint(self._method(task), task.pair.a, task.pair.b, self.device)
        return key, self.cache.fused(key)

    def _fuse(self, task: Task) -> Fused:
        method = self._method(task).to(self.device)
        sources = [source.to(self.device) for source in (task.pair.a, task.pair.b)]
        (image, decision), cost = measured(lambda: method.fuse(sources), self.device)
        return Fused(Fusion(image.cpu(), None if decision is None else decision.cpu()), cost)

    def _method(self, task: Task) -> Method:
        method = self.methods[task.method]
        return IdealFuser(task.pair.alpha) if isinstance(method, IdealFuser) else method

    def _score(self, row: Row, known: Mapping[str, Tensor]) -> Row:
        """The row with its scores, those computed that are not kept."""
        key = fingerprint(known)
        kept = self.cache.scores(key)
        digests = {name: fingerprint(metric) for name, metric in self.metrics.items()}
        missing = FusionMetrics({name: metric for name, metric in self.metrics.items() if digests[name] not in kept})
        try:
            new = {digests[name]: float(score) for name, score in missing.score(**known).items()}
        except Exception as error:
            return replace(row, scores={}, error=f"cannot be scored: {_sentence(error)}")
        if new:
            self.cache.keep_scores(key, kept | new)
        scores = {name: (kept | new)[digest] for name, digest in digests.items() if digest in kept | new}
        return replace(row, scores=scores | row.scores)


def _known(pair: BenchmarkPair, fusion: Fusion) -> dict[str, Tensor]:
    """All that is known of a pair and its fusion, in [0, 1], by the names the metrics ask for."""
    white = torch.iinfo(pair.a.dtype).max
    images = {"fused": fusion.image, "source_a": pair.a, "source_b": pair.b, "sharp": pair.sharp}
    known = {name: image.float() / white for name, image in images.items() if image is not None}
    maps = {"alpha": fusion.decision, "alpha_true": pair.alpha}
    return known | {name: alpha for name, alpha in maps.items() if alpha is not None}


def _draw(stem: Path, fusion: Fusion, known: Mapping[str, Tensor]) -> None:
    shown = difference(known["fused"], known["source_a"])
    write_image(stem.with_name(f"{stem.name}-fused.png"), to_pixels(fusion.image))
    if fusion.decision is not None:
        write_image(stem.with_name(f"{stem.name}-map.png"), to_uint8(fusion.decision[0]))
    write_image(stem.with_name(f"{stem.name}-difference.png"), to_uint8(shown[0]))
    columns = ("source_a", "source_b", "alpha_true", "alpha", "fused")
    row = [*(known[name] for name in columns if name in known), shown]
    write_image(stem.with_name(f"{stem.name}-panel.png"), panel([[image[0] for image in row]]))


def _sentence(error: Exception) -> str:
    """An error in one line: its message if it is worded for people, its kind before it if not."""
    message = " ".join(str(error).split())
    return message if isinstance(error, ValueError) and message else f"{type(error).__name__}: {message}".rstrip(": ")
