from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.ndimage import label

from mfif.synthesis import BlobTemplates
from mfif.synthesis.templates.blobs import random_fields


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def blobs(length, count, size, seed=0):
    templates = BlobTemplates((length, length))
    return templates.render(templates.draw(torch.zeros(count, dtype=torch.long), generator(seed)), size)


@pytest.mark.parametrize("length", [(0.0, 1.0), (0.5, 0.1), (-0.1, 0.5), (0.1,), (0.1, 0.2, 0.3)], ids=str)
def test_blobs_refuse_bounds(length):
    with pytest.raises(ValueError, match="Expected `length` to be two bounds"):
        BlobTemplates(length)


def test_random_fields_match_the_sum():
    source = generator()
    frequency = 5 * torch.randn(2, 7, 2, generator=source, dtype=torch.float64)
    phase = 6 * torch.rand(2, 7, generator=source, dtype=torch.float64)
    expected = np.zeros((2, 6, 6))
    for n, row, column in np.ndindex(2, 6, 6):
        y, x = (row + 0.5) / 6, (column + 0.5) / 6
        for wave in range(7):
            at = frequency[n, wave, 0].item() * y + frequency[n, wave, 1].item() * x + phase[n, wave].item()
            expected[n, row, column] += np.sqrt(2 / 7) * np.cos(at)
    np.testing.assert_allclose(random_fields(frequency, phase, 6).numpy(), expected, rtol=0, atol=1e-12)


def test_random_fields_covariance():
    """Unit variance, and the Gaussian covariance exp(-d^2 / (2 length^2)) along either axis."""
    templates = BlobTemplates((0.2, 0.2))
    parameters = templates.draw(torch.zeros(4000, dtype=torch.long), generator())
    frequency, phase, _ = parameters.split([48, 24, 1], dim=1)
    fields = random_fields(frequency.view(-1, 24, 2), phase, 20).double()
    assert fields.mean().item() == pytest.approx(0, abs=0.05)
    assert fields.square().mean((1, 2)).mean().item() == pytest.approx(1, abs=0.05)
    for pixels in (2, 4, 6, 12):
        expected = np.exp(-((pixels / 20) ** 2) / (2 * 0.2**2))
        along_y = (fields[:, pixels:] * fields[:, :-pixels]).mean().item()
        along_x = (fields[..., pixels:] * fields[..., :-pixels]).mean().item()
        assert along_y == pytest.approx(expected, abs=0.06)
        assert along_x == pytest.approx(expected, abs=0.06)


def test_blobs_are_the_field_above_its_level():
    templates = BlobTemplates(waves=3)
    parameters = templates.draw(torch.zeros(5, dtype=torch.long), generator())
    assert parameters.shape == (5, 10)
    maps = templates.render(parameters, 9)
    for sample, row in zip(maps, parameters.double(), strict=True):
        frequency, phase, level = row[:6].view(1, 3, 2), row[None, 6:9], row[9]
        assert torch.equal(sample, (random_fields(frequency, phase, 9) > level).float())


def test_blobs_length_sets_the_number_of_regions():
    def regions(length):
        maps = blobs(length, 64, 48).squeeze(1).numpy()
        return np.mean([label(sample)[1] + label(1 - sample)[1] for sample in maps])

    counts = [regions(length) for length in (0.05, 0.1, 0.2, 0.6)]
    assert all(more > 1.5 * fewer for more, fewer in pairwise(counts)), counts
    assert counts[-1] < 4


def test_blobs_cover_half_on_average():
    share = blobs(0.03, 400, 48).mean((1, 2, 3))
    assert share.mean().item() == pytest.approx(0.5, abs=0.04)
    # Short lengths leave the level alone to decide: normal of deviation 1/2, as seen by a unit normal field.
    assert share.std().item() == pytest.approx(0.18, abs=0.02)


def test_blobs_lengths_are_drawn_within_bounds():
    templates = BlobTemplates((0.1, 0.4), waves=500)
    parameters = templates.draw(torch.zeros(300, dtype=torch.long), generator())
    length = 1 / parameters[:, :1000].std(1)  # frequencies of a sample have the deviation 1 / length
    assert length.min() > 0.1 * 0.93
    assert length.max() < 0.4 * 1.07
    assert length.log().mean().item() == pytest.approx(np.log(0.2), abs=0.1)


def test_blobs_do_not_depend_on_the_size():
    templates = BlobTemplates((0.3, 0.3))
    parameters = templates.draw(torch.zeros(20, dtype=torch.long), generator())
    small, large = templates.render(parameters, 16), templates.render(parameters, 48)
    # The centre of a pixel of the small map is that of the middle one of three by three of the large.
    assert (small == large[..., 1::3, 1::3]).float().mean() > 0.999
