"""Graph hypernetworks: predict all parameters of a network in one forward pass."""

from nascence.hypernet.calibration import accuracy, recalibrate
from nascence.hypernet.checkpoint import load, load_into, read_card, save
from nascence.hypernet.ghn import GHN
from nascence.hypernet.meta_train import meta_train

__all__ = ["GHN", "accuracy", "load", "load_into", "meta_train", "read_card", "recalibrate", "save"]
