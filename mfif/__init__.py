"""Multi-focus image fusion: train, compare and report fusion methods, and fuse photographs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfif.fusion.fusers import Fuser
    from mfif.fusion.image_fusers import ImageFuser
    from mfif.fusion.inference import FuseResult, fuse
    from mfif.fusion.loading import load

__all__ = ["FuseResult", "Fuser", "ImageFuser", "__version__", "fuse", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Torch takes seconds to import; the parts that do without it should not wait.
    if name == "Fuser":
        from mfif.fusion.fusers import Fuser

        return Fuser
    if name == "ImageFuser":
        from mfif.fusion.image_fusers import ImageFuser

        return ImageFuser
    if name == "load":
        from mfif.fusion.loading import load

        return load
    if name in ("FuseResult", "fuse"):
        from mfif.fusion import inference

        return getattr(inference, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
