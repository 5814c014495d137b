"""A small one-stage detector for any backbone and pyramid, with data and average precision."""

from nascence.detect.assignment import Places, Targets, assign, centreness, places
from nascence.detect.average_precision import AREAS, AveragePrecision, average_precision
from nascence.detect.boxes import Detections, Objects, generalised_iou, pairwise_iou
from nascence.detect.detector import Detector, FeatureMaps
from nascence.detect.head import DetectionHead
from nascence.detect.losses import Losses, Predictions, detection_losses, focal_loss
from nascence.detect.scenes import Scene, Scenes
from nascence.detect.suppression import suppress
from nascence.detect.training import DetectorTraining, detect_all, evaluate_detector, train_detector

__all__ = [
    "AREAS",
    "AveragePrecision",
    "DetectionHead",
    "Detections",
    "Detector",
    "FeatureMaps",
    "Losses",
    "Objects",
    "Places",
    "Predictions",
    "Scene",
    "Scenes",
    "Targets",
    "DetectorTraining",
    "assign",
    "average_precision",
    "centreness",
    "detect_all",
    "detection_losses",
    "evaluate_detector",
    "focal_loss",
    "generalised_iou",
    "pairwise_iou",
    "places",
    "suppress",
    "train_detector",
]
