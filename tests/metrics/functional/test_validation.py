import pytest
import torch

from mfif.metrics.functional.validation import check_choice, check_images, check_size, check_values


def test_accepts_gray_and_colour():
    for dtype, data_range in ((torch.uint8, 255), (torch.int64, 255), (torch.bfloat16, 1.0), (torch.float32, 255.0)):
        for channels in (1, 3):
            check_images(data_range, fused=torch.zeros(2, channels, 1, 4, dtype=dtype))


@pytest.mark.parametrize(
    ("image", "data_range", "error", "message"),
    [
        ([[0.0]], 1, TypeError, r"Expected `fused` to be a tensor .*, got list"),
        (
            torch.zeros(1, 1, 2, 2, dtype=torch.complex64),
            1,
            TypeError,
            "Expected `fused` to be real, got torch.complex64",
        ),
        (torch.zeros(1, 1, 2, 2, dtype=torch.bool), 255, TypeError, "float or integer image, got torch.bool"),
        (torch.zeros(1, 2, 2), 1, ValueError, r"`fused` to be \(B, 1, H, W\) or \(B, 3, H, W\), got \(1, 2, 2\)"),
        (torch.zeros(1, 4, 2, 2), 1, ValueError, r"Expected `fused` to be .*, got \(1, 4, 2, 2\)"),
        (torch.zeros(0, 1, 2, 2), 1, ValueError, r"`fused` to hold at least one image .*, got \(0, 1, 2, 2\)"),
        (torch.zeros(1, 1, 0, 2), 1, ValueError, r"of at least one pixel, got \(1, 1, 0, 2\)"),
        (
            torch.zeros(1, 1, 2, 2, dtype=torch.uint8),
            1.0,
            ValueError,
            "Expected `data_range` to be 255 for .*, got 1.0",
        ),
        (torch.zeros(1, 1, 2, 2), 0, ValueError, "Expected `data_range` to be a positive number, got 0"),
        (torch.zeros(1, 1, 2, 2), float("nan"), ValueError, "Expected `data_range` to be a positive number, got nan"),
    ],
)
def test_errors(image, data_range, error, message):
    with pytest.raises(error, match=message):
        check_images(data_range, fused=image)


def test_different_shapes():
    with pytest.raises(
        ValueError, match=r"`source_b` to have the shape of `fused`, \(1, 1, 2, 2\), got \(1, 3, 2, 2\)"
    ):
        check_images(1.0, fused=torch.zeros(1, 1, 2, 2), source_b=torch.zeros(1, 3, 2, 2))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_must_be_finite(value):
    bad, good = torch.tensor([0.5, value]), torch.tensor([0.5, 0.5])
    with pytest.raises(ValueError, match="Expected `fused` to be finite"):
        check_values({"fused": bad}, {"sharp": good}, 1.0)
    with pytest.raises(ValueError, match="Expected `sharp` to be finite"):
        check_values({"fused": good}, {"sharp": bad}, 1.0)


def test_only_the_truth_must_keep_its_range():
    wide, good = torch.tensor([0.0, 255.0]), torch.tensor([0.0, 1.0004])
    check_values({"fused": wide}, {"sharp": good}, 1.0)
    with pytest.raises(ValueError, match=r"Expected `sharp` to lie in \[0, 1\], got values from 0 to 255"):
        check_values({"fused": good}, {"sharp": wide}, 1.0)
    with pytest.raises(ValueError, match=r"Expected `sharp` to lie in \[0, 255\], got values from -3 to 255"):
        check_values({"fused": good}, {"sharp": torch.tensor([-3.0, 255.0])}, 255)


def test_choice():
    check_choice("variant", "zl", ("zl", "yl"))
    for value in ("vifb", None, 3):
        with pytest.raises(ValueError, match=f"Expected `variant` to be 'zl' or 'yl', got {value!r}"):
            check_choice("variant", value, ("zl", "yl"))


def test_size():
    check_size(3, fused=torch.zeros(1, 1, 3, 4))
    for shape in ((1, 1, 2, 4), (1, 3, 4, 2)):
        with pytest.raises(ValueError, match=r"Expected `fused` to be at least 3 pixels high and wide, got \(\d, \d\)"):
            check_size(3, fused=torch.zeros(shape))
