"""Methods that make the fused image themselves, without a decision map."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from mfif.errors import InputError
from mfif.fusion.fusers import Fusion, check_sources, check_tile, wants_two
from mfif.fusion.levels import colour, from_unit, gain_of, to_unit
from mfif.fusion.tiles import Raster, Watch, bands, whole


@dataclass(frozen=True)
class ImageFuser:
    """A method that makes the fused image itself, without a decision map.

    Args:
        estimator: Takes the sources, images ``(B, 1 or 3, H, W)`` in [0, 1], and gives one of that shape; what leaves
            the range is clipped. It takes any number of them unless its attribute ``pairwise`` is true. Its attributes
            ``receptive_radius`` and ``stride`` allow tiles, as in `Fuser`.
        tile: Side in pixels of the tiles, as in `Fuser`.
        gain: As in `Fuser`; what the estimator gives is divided by it.
        watch: As in `Fuser`.

    Raises:
        InputError: `tile` is not positive.
    """

    estimator: Callable[[Sequence[Tensor]], Tensor]
    tile: int | None = 1024
    gain: float | None = None
    watch: Watch | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_tile(self.tile)

    def to(self, device: torch.device | str) -> "ImageFuser":
        """The same method on another device."""
        return replace(self, estimator=self.estimator.to(device)) if isinstance(self.estimator, nn.Module) else self

    def fuse(self, sources: Sequence[Tensor]) -> Fusion:
        """Fuse sources, see `Method`; integers are rounded. An alpha channel becomes the largest of the sources'.

        Raises:
            ValueError: The sources differ in shape or type, or floats lie outside of [0, 1].
        """
        parts, _ = self.fuse_by_bands(sources)
        return Fusion(whole(parts, sources[0].shape[-2]), None)

    def fuse_by_bands(self, sources: Sequence[Raster]) -> tuple[Iterator[Tensor], None]:
        """Fuse sources that may stay in files; the image comes as of `Fuser.fuse_by_bands`."""
        check_sources(sources)
        if self.gain is None:
            return replace(self, gain=min(map(gain_of, sources))).fuse_by_bands(sources)
        halo, stride = getattr(self.estimator, "receptive_radius", None), getattr(self.estimator, "stride", 1)
        return bands(self._fuse, sources, self.tile, halo, stride, self.watch), None

    @torch.no_grad()
    def _fuse(self, *sources: Tensor) -> Tensor:
        gain = self.gain or 1
        image = self.estimator([to_unit(colour(source)) * gain for source in sources]) / gain
        fused = from_unit(image.clamp(0, 1), sources[0].dtype)
        rest = [source[:, fused.shape[1] :] for source in sources]
        if not rest[0].shape[1]:
            return fused
        # Maxima of uint16 are not implemented; as int32 it has the same values.
        kind = rest[0].dtype if rest[0].is_floating_point() else torch.int32
        alpha = torch.stack([channel.to(kind) for channel in rest]).amax(0).to(fused.dtype)
        return torch.cat([fused, alpha], dim=1)


class ChannelByChannel(nn.Module):
    """Fuses each channel of two images by a network that gives the fused image of gray ones: what `ImageFuser` takes.

    Args:
        network: ``(a, b) -> fused``, all ``(B, 1, H, W)``.
    """

    pairwise = True

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.receptive_radius = getattr(network, "receptive_radius", None)

    def forward(self, sources: Sequence[Tensor]) -> Tensor:
        """Fused image of two sources ``(B, 1 or 3, H, W)``, same shape.

        Raises:
            InputError: There are not two of them.
        """
        if len(sources) != 2:
            raise InputError(wants_two(self.network, len(sources)))
        channels = zip(*(source.unbind(1) for source in sources), strict=True)
        return torch.cat([self.network(a[:, None], b[:, None]) for a, b in channels], dim=1)
