import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import shift
from skimage.data import astronaut, camera

from mfif.synthesis.degrade import add_noise, compress, translate


def test_whole_pixels_move_content():
    image = torch.rand(2, 3, 9, 12, generator=torch.Generator().manual_seed(0))
    moved = translate(image, torch.tensor([[2.0, -3.0], [0.0, 0.0]]))
    torch.testing.assert_close(moved[0, :, 2:, :-3], image[0, :, :-2, 3:])
    torch.testing.assert_close(moved[1], image[1])


@pytest.mark.parametrize("offset", [(0.3, -0.7), (-1.25, 0.5)])
def test_parts_of_pixels_as_scipy_moves_them(offset):
    image = torch.rand(1, 1, 20, 16, generator=torch.Generator().manual_seed(0))
    moved = translate(image, torch.tensor([offset]))[0, 0].numpy()
    expected = shift(image[0, 0].numpy(), offset, order=1, mode="mirror")
    np.testing.assert_allclose(moved[3:-3, 3:-3], expected[3:-3, 3:-3], atol=1e-5)


def test_noise_has_each_sample_s_level_and_is_clipped():
    image = torch.full((3, 1, 64, 64), 0.5)
    level = torch.tensor([0.0, 0.05, 5.0])
    noisy = add_noise(image, level, torch.Generator().manual_seed(0))
    assert torch.equal(noisy[0], image[0])
    assert noisy[1].std().item() == pytest.approx(0.05, rel=0.05)
    assert (noisy[2].min(), noisy[2].max()) == (0, 1)


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_compression_is_near_libjpeg_s(quality):
    pixels = camera()[128:256, 64:224]
    image = torch.from_numpy(pixels)[None, None].float() / 255
    ours = compress(image, torch.tensor([float(quality)]))[0, 0].numpy() * 255
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    theirs = np.asarray(Image.open(stream)).astype(float)
    assert np.abs(ours - ours.round()).max() < 1e-3  # 8 bit
    loss = np.abs(theirs - pixels).mean()
    assert np.abs(ours - theirs).mean() < 0.5 * loss
    assert np.abs(ours - pixels).mean() == pytest.approx(loss, rel=0.25)


def test_what_has_no_quality_is_not_compressed():
    image = torch.from_numpy(astronaut()[:64, :64].copy()).movedim(-1, 0)[None].float().repeat(2, 1, 1, 1) / 255
    coded = compress(image, torch.tensor([0.0, 50.0]))
    assert coded.shape == image.shape
    assert torch.equal(coded[0], image[0])
    assert not torch.equal(coded[1], image[1])
    assert compress(image, torch.zeros(2)) is image


def test_every_sample_is_compressed_by_its_own_quality():
    image = torch.from_numpy(astronaut()[:96, :96].copy()).movedim(-1, 0)[None].float().repeat(4, 1, 1, 1) / 255
    quality = torch.tensor([80.0, 0.0, 30.0, 55.0])
    together = compress(image, quality)
    for place in range(4):
        assert torch.equal(together[place : place + 1], compress(image[place : place + 1], quality[place : place + 1]))
