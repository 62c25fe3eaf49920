"""Networks: two gray sources in, the decision map of the first out; those with ``gives_image`` give the fused image."""

from mfif.models.cnn import Cnn
from mfif.models.context import ContextTwoStream
from mfif.models.mfnet import MFNet
from mfif.models.pixel_cnn import PixelCnn
from mfif.models.two_stream import TwoStream

__all__ = ["Cnn", "ContextTwoStream", "MFNet", "PixelCnn", "TwoStream"]
