import threading

import pytest
import torch

from mfif.metrics.functional import q_g
from mfif.metrics.functional.precision import computing_in, working_dtype

CPU = torch.device("cpu")


def test_float64_unless_chosen():
    assert working_dtype(CPU) == torch.float64
    with computing_in(torch.float32):
        assert working_dtype(CPU) == torch.float32
        with computing_in(torch.float64):
            assert working_dtype(CPU) == torch.float64
        assert working_dtype(CPU) == torch.float32
    assert working_dtype(CPU) == torch.float64


def test_apple_devices_have_float32_only():
    with computing_in(torch.float64):
        assert working_dtype(torch.device("mps")) == torch.float32


def test_reset_after_an_error():
    with pytest.raises(ZeroDivisionError), computing_in(torch.float32):
        _ = 1 / 0
    assert working_dtype(CPU) == torch.float64


@pytest.mark.parametrize("dtype", [torch.float16, torch.int64])
def test_other_types(dtype):
    with pytest.raises(ValueError, match=r"Expected `dtype` to be torch\.float32 or torch\.float64, got torch"):
        computing_in(dtype).__enter__()


def test_scores_are_close(images):
    with computing_in(torch.float32):
        rough = q_g(*images)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough.double(), q_g(*images), rtol=1e-5, atol=0)


def test_other_threads_choose_for_themselves():
    seen = []
    with computing_in(torch.float32):
        thread = threading.Thread(target=lambda: seen.append(working_dtype(CPU)))
        thread.start()
        thread.join()
    assert seen == [torch.float64]
