"""Focus templates: which part of the scene each source of a pair sees sharp.

A template is a decision map: 1 (white) where the first source keeps the photograph, 0 (black) where it is blurred; the
second source takes the complement. A template set has the members of a kernel set: ``variants``, ``draw`` and
``render(parameters, size)``, which gives maps ``(B, 1, size, size)`` of zeros and ones on the device of the parameters.
The synthesizer softens their edges where that is asked for.
"""

from mfif.synthesis.templates.blobs import BlobTemplates
from mfif.synthesis.templates.constant import ConstantTemplates
from mfif.synthesis.templates.mixture import MixtureTemplates
from mfif.synthesis.templates.paper import PaperTemplates, paper_templates
from mfif.synthesis.templates.shapes import HalfplaneTemplates, ShapeTemplates
from mfif.synthesis.templates.strips import StripTemplates
from mfif.synthesis.templates.superposed import SuperposedTemplates

__all__ = [
    "BlobTemplates",
    "ConstantTemplates",
    "HalfplaneTemplates",
    "MixtureTemplates",
    "PaperTemplates",
    "ShapeTemplates",
    "StripTemplates",
    "SuperposedTemplates",
    "paper_templates",
]
