"""Phase congruency: edges and corners where the frequencies of an image are in step, whatever the contrast."""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

_SCALES = 4
_ORIENTATIONS = 6
_WAVELENGTH = 3.0  # of the finest scale, in pixels
_SCALING = 2.1  # from one scale's wavelength to the next
_BANDWIDTH = 0.55  # of the log-Gabor filters
_SPREAD = math.pi / _ORIENTATIONS / 1.2  # standard deviation of a filter's orientation
_LOW_PASS = (0.45, 15)  # cutoff and order
_NOISE_DEVIATIONS = 2.0  # above its mean, where the threshold lies
_NOISE_EXCESS = 1.7  # by which the reference takes the noise to be overestimated
_EPSILON = 1e-4
_KEPT_UP_TO = 1 << 21  # pixels; filters take 64 bytes for each


class PhaseFeatures(NamedTuple):
    """What phase congruency says of each pixel, ``(B, H, W)`` each.

    Attributes:
        congruency: Pooled over all orientations, 0..1.
        strongest: Maximum moment over the orientations: how much of an edge.
        weakest: Minimum moment: how much of a corner.
    """

    congruency: Tensor
    strongest: Tensor
    weakest: Tensor


class _Filters(NamedTuple):
    """Log-Gabor filters of one image size, on the half plane of `torch.fft.rfft2`.

    A filter is ``radial[s] * (even[o] + odd[o])``: its even part gives the real, its odd part the imaginary response.
    """

    radial: Tensor  # (S, H, W // 2 + 1)
    even: Tensor  # (O, H, W // 2 + 1)
    odd: Tensor  # (O, H, W // 2 + 1)
    noise: tuple[float, ...]  # energy of noise in all scales of each orientation, over that in the finest scale


def phase_congruency(gray: Tensor) -> PhaseFeatures:
    """Phase congruency of gray images and its moments over the orientations.

    Args:
        gray: ``(B, H, W)`` in 0..255. No gradient passes.

    Returns:
        Three maps ``(B, H, W)``. The moments are NaN where no filter answers at all, as in a constant image.

    Source: Kovesi, Videre 1(3), 1999, and DICTA 2003; ``phasecong2.m`` of 2005 with the defaults, in the revision
    ``myphasecong3.m`` that yuliu316316/MFIF-Metrics scores with. It takes the amplitude of complex filter responses;
    here the real and the imaginary part are two real inverse transforms of half a plane, and the noise that the filters
    pass is summed over frequencies instead of pixels (Parseval).

    Example:
        >>> import torch
        >>> step = torch.zeros(1, 32, 32, dtype=torch.float64)
        >>> step[..., 8:24] = 255
        >>> phase_congruency(step).congruency[0, 16, ::4].gt(0.1).tolist()
        [False, False, True, False, False, False, True, False]
    """
    if gray.device.type == "cpu" and len(gray) > 1:  # one by one they stay in the cache
        maps = [phase_congruency(image.unsqueeze(0)) for image in gray]
        return PhaseFeatures(*(torch.cat(of_images) for of_images in zip(*maps, strict=True)))
    gray = gray.detach()
    height, width = gray.shape[-2:]
    make = _filters if height * width <= _KEPT_UP_TO else _filters.__wrapped__
    filters = make(height, width, gray.dtype, gray.device)
    # Frequency 0 does not count; without the first pixel a constant image is exactly zero, not rounding noise.
    spectrum = torch.fft.rfft2(gray - gray[..., :1, :1])
    bands = [spectrum * radial for radial in filters.radial]
    turned = [band * -1j for band in bands]  # an odd filter's answer is imaginary

    energy_sum, amplitude_sum, xx, yy, xy = torch.zeros((5, *gray.shape), dtype=gray.dtype, device=gray.device)
    for orientation in range(_ORIENTATIONS):
        even, odd = filters.even[orientation], filters.odd[orientation]
        energy, amplitude = _energy(
            [_inverse(band, even, gray) for band in bands],
            [_inverse(band, odd, gray) for band in turned],
            filters.noise[orientation],
        )
        energy_sum += energy
        amplitude_sum += amplitude
        squared = energy.div_(amplitude).square_()
        angle = orientation * math.pi / _ORIENTATIONS
        xx.add_(squared, alpha=math.cos(angle) ** 2)
        yy.add_(squared, alpha=math.sin(angle) ** 2)
        xy.add_(squared, alpha=math.cos(angle) * math.sin(angle))

    xx, yy, xy = xx / (_ORIENTATIONS / 2), yy / (_ORIENTATIONS / 2), xy / _ORIENTATIONS
    apart = torch.sqrt(xy * xy + (xx - yy) * (xx - yy)) + _EPSILON
    return PhaseFeatures(energy_sum / (amplitude_sum + _EPSILON), (xx + yy + apart) / 2, (xx + yy - apart) / 2)


def _inverse(band: Tensor, part: Tensor, gray: Tensor) -> Tensor:
    """Answer of the real filter `part` to a band of the spectrum, shaped as the image."""
    filtered = torch.view_as_complex(torch.view_as_real(band) * part.unsqueeze(-1))
    answer: Tensor = torch.fft.irfft2(filtered, s=gray.shape[-2:])
    return answer


def _energy(real: list[Tensor], imaginary: list[Tensor], noise: float) -> tuple[Tensor, Tensor]:
    """Energy in step beyond the noise, and amplitude, of one orientation's answers ``(B, H, W)``, finest first."""
    powers = [torch.addcmul(x * x, y, y) for x, y in zip(real, imaginary, strict=True)]
    finest = powers[0].flatten(1)
    amplitudes = [power.sqrt() for power in powers]
    amplitude, largest = amplitudes[0].clone(), amplitudes[0].clone()
    real_sum, imaginary_sum = real[0].clone(), imaginary[0].clone()
    for other, x, y in zip(amplitudes[1:], real[1:], imaginary[1:], strict=True):
        amplitude += other
        torch.maximum(largest, other, out=largest)
        real_sum += x
        imaginary_sum += y

    squared = torch.addcmul(real_sum * real_sum, imaginary_sum, imaginary_sum)
    across = torch.zeros_like(squared)
    for x, y in zip(real, imaginary, strict=True):
        across += torch.addcmul(x * imaginary_sum, y, real_sum, value=-1).abs_()
    energy = (squared - across).div_(squared.sqrt().add_(_EPSILON))

    # The median answer of the finest scale is taken to be noise.
    power = _median(finest) * (noise / math.log(2))
    expected = math.sqrt(math.pi / 2) + _NOISE_DEVIATIONS * math.sqrt(2 - math.pi / 2)
    threshold = power.sqrt() * (expected / _NOISE_EXCESS)
    energy = energy.sub_(threshold.view(-1, 1, 1)).clamp_(min=0)

    width = amplitude / largest.add_(_EPSILON) / _SCALES
    return energy.mul_(torch.sigmoid(10 * (width - 0.5))), amplitude


def _median(rows: Tensor) -> Tensor:
    """Median of each row of ``(B, N)``, the mean of the middle two if N is even."""
    count = rows.shape[1]
    low = rows.kthvalue((count + 1) // 2, dim=1).values
    if count % 2:
        return low
    above = rows > low.unsqueeze(1)
    high = rows.masked_fill(~above, torch.inf).amin(1)
    return torch.where(above.sum(1) < count // 2, low, (low + high) / 2)


@lru_cache(maxsize=2)
def _filters(height: int, width: int, dtype: torch.dtype, device: torch.device) -> _Filters:
    """Filters of one image size; kept, as the pairs of a benchmark share a size."""
    with torch.inference_mode(False), torch.no_grad():  # tensors of inference mode are of no use outside it
        y, x = torch.meshgrid(_frequencies(height), _frequencies(width), indexing="ij")
        radius = torch.sqrt(x * x + y * y)
        radius[0, 0] = 1
        cutoff, order = _LOW_PASS
        low_pass = 1 / (1 + (radius / cutoff) ** (2 * order))
        waves = [_WAVELENGTH * _SCALING**scale for scale in range(_SCALES)]
        width_of_band = 2 * math.log(_BANDWIDTH) ** 2
        radial = torch.stack([torch.exp(-(torch.log(radius * wave) ** 2) / width_of_band) for wave in waves]) * low_pass
        radial[:, 0, 0] = 0

        direction = torch.atan2(-y, x)
        angles = torch.arange(_ORIENTATIONS, dtype=torch.float64).view(-1, 1, 1) * (math.pi / _ORIENTATIONS)
        apart = direction - angles
        apart = torch.atan2(apart.sin(), apart.cos())
        spread = torch.exp(-(apart**2) / (2 * _SPREAD**2))
        opposite = spread.flip(-2, -1).roll((1, 1), (-2, -1))
        even, odd = (spread + opposite) / 2, (spread - opposite) / 2

        passed = ((radial.sum(0) * even) ** 2).sum((1, 2)) / ((radial[0] * spread) ** 2).sum((1, 2))
        half = width // 2 + 1
        radial, even, odd = (part[..., :half].to(device, dtype).contiguous() for part in (radial, even, odd))
    return _Filters(radial, even, odd, tuple(passed.tolist()))


def _frequencies(size: int) -> Tensor:
    """The reference's frequency axis, zero first; for odd sizes it reaches exactly 1/2, unlike `torch.fft.fftfreq`."""
    reach = size // 2
    centred = torch.arange(-reach, size - reach, dtype=torch.float64) / (2 * reach)
    return centred.roll(-reach)
