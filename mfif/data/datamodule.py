"""The data of training: indices from the CPU, pairs synthesized on the accelerator."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor

from mfif.data.photos import OnBadPhoto, Photos, Split, crop_bank
from mfif.pair import FocusPair
from mfif.recorded import Recorded
from mfif.synthesis import PairDraw, Synthesizer

_SPLITS: tuple[Split, ...] = ("train", "val")


class PairStream:
    """Draws of pairs, batch by batch, that can be left off and taken up anywhere.

    Every epoch visits all pairs in a new order, and each draw depends on the seed, the epoch and the batch alone: not
    on the device, not on what was drawn before. Several ranks share each batch, rank after rank, so together they see
    exactly what one rank with the whole batch would.

    Args:
        synthesizer: Draws the parameters.
        pairs: Number of pairs.
        batch_size: Pairs in a batch of this rank. A last batch that is not full is left out of an epoch.
        seed: What the whole stream depends on.
        rank: This process among `world_size`.
        world_size: Number of processes.
    """

    def __init__(
        self,
        synthesizer: Synthesizer,
        pairs: int,
        batch_size: int,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.synthesizer = synthesizer
        self.pairs = pairs
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self._next = 0

    def __len__(self) -> int:
        return self.pairs // (self.batch_size * self.world_size)

    def __iter__(self) -> Iterator[PairDraw]:
        """The rest of the epoch, then a new one at the next call."""
        epoch, start = divmod(self._next, len(self))
        order = torch.randperm(self.pairs, generator=self._generator(epoch))
        together = self.batch_size * self.world_size
        for batch in range(start, len(self)):
            self._next += 1
            shared = order[batch * together : (batch + 1) * together]
            draw = self.synthesizer.draw(shared, self._generator(epoch, batch))
            yield draw.part(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)

    def _generator(self, *place: int) -> torch.Generator:
        (state,) = np.random.SeedSequence([self.seed, *place]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(state >> np.uint64(1)))

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands: Lightning keeps it in the checkpoint."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where the checkpoint left off."""
        self._next = int(state["next"])


class FixedPairs:
    """The same draws every time, whatever the batch size and the number of ranks.

    Args:
        draw: All pairs.
        batch_size: Pairs in a batch of this rank; the last may have fewer.
        rank: This process among `world_size`, which take batches in turn.
        world_size: Number of processes.
    """

    def __init__(self, draw: PairDraw, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.draw = draw
        self.batch_size = batch_size
        self._starts = range(rank * batch_size, len(draw.crop), world_size * batch_size)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[PairDraw]:
        """This rank's batches."""
        for start in self._starts:
            yield self.draw.part(start, start + self.batch_size)


class SynthesizedPairs(LightningDataModule):
    """Training and validation pairs synthesized from sharp photographs.

    The CPU decodes the photographs once, into a bank of crops, and then only draws numbers. The bank moves to the
    accelerator with the first batch; blur, template and composition happen there.

    Args:
        photos: Where the photographs come from.
        synthesizer: What is done to them.
        crops: Crops in the training bank; an epoch has ``crops * synthesizer.pairs_per_crop`` pairs.
        crop: Side of a crop in pixels.
        batch_size: Pairs in a batch of one device.
        val_pairs: Fixed pairs to validate with.
        colour: Whether pairs are RGB and the loss with them; the network sees gray either way.
        flips: Whether crops to train on are turned by quarters and mirrored at random.
        reduction: Largest factor by which photographs to train on are reduced, each crop by its own from 1.
        seed: What crops and draws depend on; validation pairs do not.
        on_bad_photo: ``"stop"`` or ``"skip"`` a photograph that cannot be read.
        graph: Whether the synthesis of a batch to train on is one CUDA graph, see `mfif.recorded`.

    Raises:
        ValueError: A count or size is not positive, or an epoch has no full batch.
    """

    _VAL_SEED = 20200504  # fixed pairs are the same for every seed

    def __init__(
        self,
        photos: Photos,
        synthesizer: Synthesizer,
        crops: int = 60_000,
        crop: int = 32,
        batch_size: int = 32,
        val_pairs: int = 256,
        colour: bool = False,
        flips: bool = False,
        reduction: float = 1.0,
        seed: int = 0,
        on_bad_photo: OnBadPhoto = "stop",
        graph: bool = False,
    ) -> None:
        super().__init__()
        for name, value in {"crops": crops, "crop": crop, "batch_size": batch_size, "val_pairs": val_pairs}.items():
            if value < 1:
                raise ValueError(f"Expected `{name}` to be positive, got {value}.")
        if not reduction >= 1:
            raise ValueError(f"Expected `reduction` to be 1 or more, got {reduction}.")
        if crops * synthesizer.pairs_per_crop < batch_size:
            raise ValueError(f"Expected at least one batch of {batch_size} pairs an epoch, got {crops} crops.")
        self.photos = photos
        self.synthesizer = synthesizer
        self.crops = crops
        self.crop = crop
        self.batch_size = batch_size
        self.val_pairs = val_pairs
        self.colour = colour
        self.flips = flips
        self.reduction = reduction
        self.seed = seed
        self.on_bad_photo = on_bad_photo
        self.graph = graph
        self._recorded: Recorded | None = None
        self.banks: dict[Split, Tensor] = {}

    def setup(self, stage: str | None = None) -> None:
        """Cut the crops, of training and validation photographs."""
        for split in _SPLITS:
            if split in self.banks or (split == "train" and stage not in (None, "fit")):
                continue
            self.banks[split] = crop_bank(
                self.photos.paths(split),
                self.crops if split == "train" else self.val_pairs,
                self.crop,
                seed=self.seed if split == "train" else self._VAL_SEED,
                colour=self.colour,
                flips=self.flips and split == "train",
                reduction=self.reduction if split == "train" else 1.0,
                on_bad_photo=self.on_bad_photo,
            )

    def teardown(self, stage: str | None = None) -> None:
        """Let go of what was recorded, and its memory."""
        self._recorded = None

    def prepare_data(self) -> None:
        """Fetch what is not there yet, once a node."""
        for split in _SPLITS:
            self.photos.paths(split)

    def train_dataloader(self) -> PairStream | FixedPairs:
        """All pairs of an epoch, in random order, this rank's part of each batch; or those that a trainer overfits."""
        overfit = math.ceil(getattr(self.trainer, "overfit_batches", 0))
        if overfit:
            # Lightning takes the first batches of each epoch for the same; those of the stream would be new ones.
            together = self.batch_size * self._ranks().get("world_size", 1)
            return self._fixed_pairs(overfit * together, self.crops)
        pairs = self.crops * self.synthesizer.pairs_per_crop
        return PairStream(self.synthesizer, pairs, self.batch_size, seed=self.seed, **self._ranks())

    def val_dataloader(self) -> FixedPairs:
        """The fixed validation pairs, this rank's batches: each crop once, templates and kernels in turn."""
        return self._fixed_pairs(self.val_pairs, self.val_pairs)

    def _fixed_pairs(self, pairs: int, crops: int) -> FixedPairs:
        index = torch.arange(pairs)
        per_crop = self.synthesizer.pairs_per_crop
        generator = torch.Generator().manual_seed(self._VAL_SEED)
        draw = self.synthesizer.draw(index % crops * per_crop + index % per_crop, generator)
        return FixedPairs(draw, self.batch_size, **self._ranks())

    def _ranks(self) -> dict[str, int]:
        if self.trainer is None:
            return {}
        return {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size}

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Synthesize a batch of pairs where its draw has been moved to; what is no draw passes as it is."""
        if not isinstance(batch, PairDraw):
            return batch
        if self._is_recorded(batch):
            return self._synthesize_recorded(batch)
        split: Split = "train" if self.trainer is None or self.trainer.training else "val"
        return self.synthesizer(*self._photographs(batch, split, batch.crop.device))

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch as Lightning does, but for a draw whose synthesis is recorded: that moves by itself."""
        return batch if self._is_recorded(batch) else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def _is_recorded(self, batch: Any) -> bool:
        return self.graph and isinstance(batch, PairDraw) and self.trainer is not None and self.trainer.training

    def _synthesize_recorded(self, draw: PairDraw) -> FocusPair:
        assert self.trainer is not None
        self._recorded = self._recorded or Recorded(self._arrange, self.trainer.strategy.root_device)
        self._pattern = draw
        # Copies, for a batch may be looked at while the next one is made.
        parts = [part.clone() for part in self._recorded(draw.pack()) if part is not None]
        return self.synthesizer.expose(FocusPair(*parts), draw)

    def _arrange(self, packed: Tensor) -> FocusPair:
        """What is recorded; `_pattern` is looked at then, and not when it is replayed."""
        return self.synthesizer.arrange(*self._photographs(self._pattern.unpack(packed), "train", packed.device))

    def _photographs(self, draw: PairDraw, split: Split, device: torch.device) -> tuple[Tensor, PairDraw, Tensor]:
        bank = self.banks[split] = self.banks[split].to(device)
        sharp, background = (bank[index].float() / 255 for index in (draw.crop, draw.background))
        return sharp, draw, background
