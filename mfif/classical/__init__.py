"""Methods without weights: two gray sources in, the decision map of the first out."""

from mfif.classical.reference import ConstantMap, LaplacianEnergy

__all__ = ["ConstantMap", "LaplacianEnergy"]
