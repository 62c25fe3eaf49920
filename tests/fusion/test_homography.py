"""Plane motions against closed forms."""

import numpy as np
import pytest
from skimage.transform import SimilarityTransform

from mfif.fusion.homography import corners, nearest_similarity, resizing, transform


def test_transform_divides_by_the_last_coordinate() -> None:
    matrix = np.array([[1.0, 0, 2], [0, 1, -1], [0.1, 0, 1]])
    np.testing.assert_allclose(transform(matrix, np.array([[10.0, 5.0]])), [[12 / 2, 4 / 2]])


def test_nearest_similarity_finds_a_similarity_again() -> None:
    angle, scale = np.radians(2), 1.03
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.vstack([np.column_stack([turn, [4, -3]]), [0, 0, 1]])
    found = nearest_similarity(matrix, 50, 80)
    np.testing.assert_allclose(found, matrix, atol=1e-9)


def test_nearest_similarity_is_the_best_of_many() -> None:
    rng = np.random.default_rng(0)
    matrix = np.vstack([np.eye(3)[:2] + rng.normal(0, [0.02, 0.02, 2], (2, 3)), [0, 0, 1]])
    points = corners(50, 80)

    def error(a: float, b: float, x: float, y: float) -> float:
        candidate = np.array([[a, -b, x], [b, a, y], [0, 0, 1]])
        return float(((transform(candidate, points) - transform(matrix, points)) ** 2).sum())

    best = nearest_similarity(matrix, 50, 80)
    parameters = np.array([best[0, 0], best[1, 0], best[0, 2], best[1, 2]])
    least = error(*parameters)
    assert all(error(*(parameters + rng.normal(0, [1e-3, 1e-3, 0.1, 0.1]))) >= least for _ in range(200))
    np.testing.assert_allclose(best, SimilarityTransform.from_estimate(points, transform(matrix, points)).params)


def test_nearest_similarity_refuses_a_collapse() -> None:
    with pytest.raises(ValueError, match="invertible"):
        nearest_similarity(np.diag([0.0, 0.0, 1.0]), 50, 80)


def test_resizing_takes_edges_to_edges() -> None:
    # The outer edges of the corner pixels lie half a pixel outside their centres.
    edges = np.array([[-0.5, -0.5], [79.5, 49.5]])
    np.testing.assert_allclose(transform(resizing((50, 80), (25, 20)), edges), [[-0.5, -0.5], [19.5, 24.5]])
