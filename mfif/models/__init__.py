"""Networks: two gray sources in, the decision map of the first out."""

from mfif.models.two_stream import TwoStream

__all__ = ["TwoStream"]
