import numpy as np
import pytest
import torch

from mfif.metrics.functional import q_m


def brute_force(f, a, b):
    """Q_M of three gray images (H, W), block by block with the Haar matrix."""
    haar = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    score = 1.0
    for exponent in (2 / 3, 1 / 3):
        height, width = f.shape[0] // 2, f.shape[1] // 2
        above = below = 0.0
        smooth = np.empty((3, height, width))
        for y, x in np.ndindex(height, width):
            window = np.s_[2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
            blocks = [haar @ image[window] @ haar.T for image in (f, a, b)]
            smooth[:, y, x] = [block[0, 0] for block in blocks]
            of_f, *sources = (block.ravel()[1:] for block in blocks)
            for source in sources:
                above += np.exp(-abs(source - of_f)).sum() * (source**2).sum()
                below += (source**2).sum()
        score *= (above / below) ** exponent
        f, a, b = smooth
    return score


def test_golden(meets_golden):
    meets_golden("zl_Q_M", q_m, torch.float64, 1e-6)


@pytest.mark.usefixtures("without_float64")
def test_golden_in_float32(meets_golden):
    meets_golden("zl_Q_M", q_m, torch.float32, 1e-4)


@pytest.mark.parametrize("size", [(4, 4), (8, 12), (11, 14)])
def test_brute_force(size):
    f, a, b = torch.randint(0, 9, (3, 2, 1, *size), generator=torch.Generator().manual_seed(0))
    expected = [brute_force(*(image[i, 0].double().numpy() for image in (f, a, b))) for i in range(2)]
    torch.testing.assert_close(q_m(f, a, b, 255).tolist(), expected)


def test_perfect_fusion(images):
    fused, _, _ = images
    torch.testing.assert_close(q_m(fused, fused, fused), torch.full((3,), 3.0).double())
    torch.testing.assert_close(q_m(fused, fused, torch.zeros_like(fused)), torch.full((3,), 3.0).double())


def test_blur_and_noise_lower_the_score(images):
    _, a, b = images
    noise = torch.randn(a.shape, generator=torch.Generator().manual_seed(0)) / 10
    assert (q_m(torch.nn.functional.avg_pool2d(a, 3, 1, 1), a, b) < q_m(a, a, b)).all()
    assert (q_m(a + noise, a, b) < q_m(a, a, b)).all()


def test_sources_flat_at_a_scale_have_no_score(images):
    f, _, _ = images
    board = (torch.arange(52).unsqueeze(1) + torch.arange(47)).remainder(2).double().expand_as(f)  # coarse: flat
    for source in (torch.full_like(f, 0.5), board):
        assert q_m(f, source, source).isnan().all()


@pytest.mark.parametrize("size", [(3, 8), (8, 3)])
def test_smallest_size(size):
    image = torch.rand(1, 1, *size)
    with pytest.raises(ValueError, match=r"Expected `fused` to be at least 4 pixels high and wide, got \(\d, \d\)"):
        q_m(image, image, image)
