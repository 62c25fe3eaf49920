"""Plane motions as homogeneous matrices ``(3, 3)`` on positions (x, y), whole numbers being the centres of pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating[Any]]


def corners(height: int, width: int) -> NDArray[np.float64]:
    """``(4, 2)`` centres of a picture's corner pixels: top left, top right, bottom left, bottom right."""
    right, bottom = width - 1.0, height - 1.0
    return np.array([[0, 0], [right, 0], [0, bottom], [right, bottom]])


def transform(matrix: Matrix, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Where a matrix takes points ``(N, 2)``."""
    moved = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(moved[:, :2] / moved[:, 2:])


def nearest_similarity(matrix: Matrix, height: int, width: int) -> Matrix:
    """Shift, turn and scale nearest to a motion, in least squares over a picture's corners."""
    points = corners(height, width)
    # With positions as complex numbers a similarity is a straight line.
    before, after = (xy @ np.array([1, 1j]) for xy in (points, transform(matrix, points)))
    turn, shift = np.linalg.lstsq(np.column_stack([before, np.ones(4)]), after, rcond=None)[0]
    if not abs(turn) > np.finfo(np.float64).eps:
        raise ValueError("Expected `matrix` to be invertible, got one that takes a picture to a point.")
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag], [0, 0, 1]])


def resizing(size: tuple[int, ...], new_size: tuple[int, ...]) -> Matrix:
    """From pixels of a picture to those of the same picture at another (height, width), edges staying edges."""
    factors = np.array([new_size[1] / size[1], new_size[0] / size[0]])
    matrix = np.diag([*factors, 1.0])
    matrix[:2, 2] = (factors - 1) / 2
    return matrix
