import importlib.util
from pathlib import Path

import torch
from skimage.data import stereo_motorcycle

from mfif.fusion.stack import focus_order, portray


def test_the_frames_are_in_the_order_of_their_depth(root: Path) -> None:
    spec = importlib.util.spec_from_file_location("stack", root / "docs" / "stack.py")
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    photo, _, disparity = stereo_motorcycle()
    frames = page.stack(photo, page.filled(disparity))
    assert len(frames) == 7
    portraits = {number: portray(torch.from_numpy(frame).movedim(-1, 0)[None]) for number, frame in enumerate(frames)}
    assert focus_order(portraits) in ([*range(7)], [*reversed(range(7))])
