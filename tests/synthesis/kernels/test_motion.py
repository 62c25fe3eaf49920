import numpy as np
import pytest
import torch

from mfif.synthesis import MotionKernels


@pytest.mark.parametrize("length", [(0.0, 2.0), (3.0, 2.0), (1.0,)], ids=str)
def test_refuses_bounds(length):
    with pytest.raises(ValueError, match="Expected `length` to be two bounds"):
        MotionKernels(length)


def splatted(length, angle, support, points):
    """A line of points, each given to the four pixels around it, one by one."""
    kernel = np.zeros((support + 1, support + 1))
    for step in (np.arange(points) + 0.5) / points - 0.5:
        x, y = (length * step * f(angle) + support // 2 for f in (np.cos, np.sin))
        column, row = int(np.floor(x)), int(np.floor(y))
        right, down = x - column, y - row
        kernel[row, column] += (1 - right) * (1 - down)
        kernel[row, column + 1] += right * (1 - down)
        kernel[row + 1, column] += (1 - right) * down
        kernel[row + 1, column + 1] += right * down
    return kernel[:-1, :-1] / points


def test_matches_splatting():
    kernels = MotionKernels()
    parameters = kernels.draw(torch.zeros(30, dtype=torch.long), torch.Generator().manual_seed(0))
    for kernel, (length, angle) in zip(kernels.render(parameters), parameters.tolist(), strict=True):
        assert kernel.shape == (17, 17)
        np.testing.assert_allclose(kernel.numpy(), splatted(length, angle, 17, kernels.points), atol=1e-5)
        np.testing.assert_allclose(kernel.numpy(), splatted(length, angle, 17, 4000), atol=0.02)  # points enough


def test_second_moments():
    """Of a line: length^2 / 12 along it. A pixel adds from 0 to 1/4 to each axis and nothing to their product."""
    kernels = MotionKernels((4.0, 15.0))
    parameters = kernels.draw(torch.zeros(100, dtype=torch.long), torch.Generator().manual_seed(1)).double()
    kernel = kernels.render(parameters)
    length, angle = parameters.unbind(1)
    offset = torch.arange(17, dtype=torch.float64) - 8
    line = length**2 / 12 * (1 - kernels.points**-2)  # of points instead of a line
    xx = (kernel.sum(1) * offset**2).sum(1)
    yy = (kernel.sum(2) * offset**2).sum(1)
    xy = (kernel * offset[:, None] * offset).sum((1, 2))
    torch.testing.assert_close(xy, line * angle.cos() * angle.sin())
    for found, along in ((xx, line * angle.cos() ** 2), (yy, line * angle.sin() ** 2)):
        assert (found >= along - 1e-9).all()
        assert (found <= along + 0.25).all()


def test_directions():
    kernels = MotionKernels((9.0, 9.0))
    right, down = kernels.render(torch.tensor([[9.0, 0.0], [9.0, np.pi / 2]]))
    assert right[5].sum() == pytest.approx(1)  # the middle row
    torch.testing.assert_close(down, right.T, rtol=0, atol=1e-6)
    torch.testing.assert_close(right[5, 2:9], torch.full((7,), 1 / 9))
