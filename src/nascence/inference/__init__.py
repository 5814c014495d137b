"""Use a designed network: classify images, measure it, and try it in a browser.

Nothing here but :mod:`nascence.inference.evaluation` needs torch.
"""

from nascence.inference.classifier import Classifier, ClassifierError, read_classifier
from nascence.inference.predictions import Prediction, classify, find_images
from nascence.inference.quality import Quality, judge

__all__ = [
    "Classifier",
    "ClassifierError",
    "Prediction",
    "Quality",
    "classify",
    "find_images",
    "judge",
    "read_classifier",
]
