import gc
import threading
import weakref

import pytest
import torch

from mfif.metrics.functional import q_g, viff
from mfif.metrics.functional.precision import computing_in
from mfif.metrics.functional.shared_work import computing_once, shared_work


@pytest.fixture
def counted():
    """A marked function and the list of its runs."""
    runs = []

    @shared_work
    def double(*tensors, factor=2):
        runs.append(tensors)
        return sum(tensors) * factor

    return double, runs


def test_once_in_a_block_every_time_outside(counted):
    double, runs = counted
    x = torch.ones(2, 3)
    double(x), double(x)
    assert len(runs) == 2
    with computing_once():
        assert double(x) is double(x)
    assert len(runs) == 3
    with computing_once():
        double(x)
    assert len(runs) == 4


def test_arguments_tell_results_apart(counted):
    double, runs = counted
    x = torch.arange(6.0).view(2, 3)
    with computing_once():
        for arguments in (
            (x,),
            (x, x),
            (x[0],),
            (x[1],),
            (x.view(3, 2),),
            (x.t(),),
            (x.clone(),),
            (x.view(torch.int32),),
        ):
            assert torch.equal(double(*arguments), sum(arguments) * 2)
        double(x, factor=3)
        assert len(runs) == 9
        double(x, factor=2)  # the default
        double(x.detach()), double(x.view(2, 3)), double(x[:])  # the same memory, read the same way
    assert len(runs) == 9


def test_never_stale_after_a_change_in_place(counted):
    double, runs = counted
    x = torch.ones(3)
    with computing_once():
        assert double(x).sum() == 6
        x.detach().mul_(5)
        assert double(x).sum() == 30
        x[0] = 0
        assert double(x).sum() == 20
    assert len(runs) == 3


def test_memory_cannot_be_mistaken_for_another(counted):
    double, _ = counted
    with computing_once():  # freed at once, were the arguments not kept
        assert [double(torch.full((1000,), float(i)))[0].item() for i in range(20)] == [2.0 * i for i in range(20)]


def test_released_after_the_block(counted):
    double, _ = counted
    x = torch.ones(3)
    with computing_once():
        result = weakref.ref(double(x))
        gc.collect()
        assert result() is not None
    gc.collect()
    assert result() is None


def test_released_after_an_error(counted):
    double, runs = counted
    x = torch.ones(3)
    with pytest.raises(TypeError), computing_once():
        double(double(x), None)
    double(x)
    assert len(runs) == 3


def test_a_block_inside_a_block_shares_its_work(counted):
    double, runs = counted
    x = torch.ones(3)
    with computing_once() as outer:
        double(x)
        with computing_once() as inner:
            double(x)
        assert inner is outer
        double(x)
    assert len(runs) == 1
    assert not outer


def test_threads_share_nothing(counted):
    double, runs = counted
    x = torch.ones(3)
    with computing_once():
        double(x)
        thread = threading.Thread(target=double, args=(x,))
        thread.start()
        thread.join()
    assert len(runs) == 2


def test_precision_and_gradients_tell_results_apart(counted):
    double, runs = counted
    x = torch.ones(3, requires_grad=True)
    with computing_once():
        with torch.no_grad():
            assert not double(x).requires_grad
        assert double(x).requires_grad
        assert not double(x.detach()).requires_grad
        with computing_in(torch.float32):
            double(x)
    assert len(runs) == 4


def test_gradients_are_those_of_separate_scores(images):
    fused, a, b = images
    (alone,) = torch.autograd.grad((q_g(f := fused.clone().requires_grad_(), a, b) + viff(f, a, b)).sum(), f)
    f = fused.clone().requires_grad_()
    with computing_once():
        together = (q_g(f, a, b) + viff(f, a, b)).sum()
    (shared,) = torch.autograd.grad(together, f)
    torch.testing.assert_close(shared, alone, rtol=1e-10, atol=1e-14)


def test_inference_mode(images):
    with torch.inference_mode():
        rough = [image.clone() for image in images]
        expected = q_g(*rough)
        with computing_once():
            assert torch.equal(q_g(*rough), expected)
            assert torch.equal(q_g(*rough), expected)
