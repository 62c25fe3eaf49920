from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch

from mfif.metrics.functional import q_te

ORDER = {"cvejic": 1.85, "nava": 0.43137}


def brute_force(f, a, b, name, exchanged):
    """Q_TE of three flat lists of gray levels, as the toolbox has it or, not exchanged, as the formula."""

    def stretch(values):
        low, high = min(values), max(values)
        return [int(255 * ((value - low) / (high - low)) + 0.5) for value in values]

    def information(x, y):
        share_x, share_y = Counter(x), Counter(y)
        total = 0.0
        for (i, j), count in Counter(zip(x, y, strict=True)).items():
            product = share_y[i] * share_x[j] if exchanged else share_x[i] * share_y[j]
            if product:
                total += (count / len(x)) ** q / (product / len(x) ** 2) ** (q - 1)
        return (1 - total) / (1 - q)

    def shannon(x):
        share = np.array(list(Counter(x).values())) / len(x)
        return -(share * np.log2(share)).sum()

    f, a, b = map(stretch, (f, a, b))
    q = ORDER[name]
    score = information(a, f) + information(b, f)
    return score / (shannon(a) ** q + shannon(b) ** q + information(a, b)) if name == "nava" else score


@pytest.mark.parametrize(("metric", "variant"), [("Q_TE", "cvejic"), ("Q_NMI_Nava", "nava")])
def test_golden(meets_golden, metric, variant):
    meets_golden(metric, partial(q_te, variant=variant), torch.float64, 1e-6)


@pytest.mark.usefixtures("without_float64")
@pytest.mark.parametrize(("metric", "variant"), [("Q_TE", "cvejic"), ("Q_NMI_Nava", "nava")])
def test_golden_in_float32(meets_golden, metric, variant):
    meets_golden(metric, partial(q_te, variant=variant), torch.float32, 1e-4)


@pytest.mark.parametrize("name", ["cvejic", "nava"])
@pytest.mark.parametrize("published", [False, True])
def test_brute_force(name, published):
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 40, (3, 4, 1, 9, 7), generator=generator)
    f, a, b = (levels * 5 + 3).to(torch.uint8)  # not the full range: the stretch matters
    expected = [brute_force(*(x[i].flatten().tolist() for x in (f, a, b)), name, not published) for i in range(4)]
    got = q_te(f, a, b, 255, f"{name}_published" if published else name)
    torch.testing.assert_close(got.tolist(), expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("variant", ["cvejic", "cvejic_published"])
def test_closed_form_of_equal_levels(variant):
    image = torch.arange(16).view(1, 1, 4, 4) / 15
    torch.testing.assert_close(q_te(image, image, image, variant=variant).item(), 2 * (16**0.85 - 1) / 0.85)


@pytest.mark.parametrize("variant", ["cvejic_published", "nava_published"])
def test_the_formula_takes_levels_as_names(images, variant):
    f, a, b = (image[:, :1] for image in images)
    torch.testing.assert_close(q_te(1 - f, a, b, variant=variant), q_te(f, a, b, variant=variant))


def test_noise_lowers_the_score(images):
    f, a, b = images
    noise = torch.randn(f.shape, generator=torch.Generator().manual_seed(0)) / 10
    for variant in ("cvejic", "nava", "cvejic_published", "nava_published"):
        assert (q_te(f + noise, a, b, variant=variant) < q_te(f, a, b, variant=variant)).all()


def test_constant_images_have_no_score(images):
    f, a, b = (image[:1, :1] for image in images)
    gray, black = torch.full_like(f, 0.5), torch.zeros_like(f)
    for variant in ("cvejic", "nava"):
        for triple in ((gray, a, b), (f, gray, b), (f, a, gray), (gray, gray, gray)):
            assert q_te(*triple, variant=variant).isnan().all()
    assert q_te(black, black, black) == 0
    assert q_te(black, black, black, variant="nava").isnan()


def test_unknown_variant(images):
    with pytest.raises(ValueError, match=r"Expected `variant` to be 'cvejic' or 'nava' or .*, got 'zl'"):
        q_te(*images, variant="zl")
