"""Graph hypernetworks: predict all parameters of a network in one forward pass."""

from nascence.hypernet.calibration import accuracy, recalibrate
from nascence.hypernet.checkpoint import load, load_into, read_card, save
from nascence.hypernet.evaluation import network_accuracies, validation
from nascence.hypernet.gated import GatedGraphNetwork, NodeNetwork
from nascence.hypernet.ghn import GHN
from nascence.hypernet.graphormer import Graphormer
from nascence.hypernet.meta_train import Report, meta_train
from nascence.hypernet.mixture import Mixture
from nascence.hypernet.predict import break_symmetry, predict, state_of, transfer
from nascence.hypernet.processes import in_processes
from nascence.hypernet.ranking import Properties, Regression, mean_embedding, properties
from nascence.hypernet.ridge import classifier_name, ridge_head, solve_ridge

__all__ = [
    "GHN",
    "GatedGraphNetwork",
    "Graphormer",
    "Mixture",
    "NodeNetwork",
    "Properties",
    "Regression",
    "Report",
    "accuracy",
    "break_symmetry",
    "classifier_name",
    "in_processes",
    "load",
    "load_into",
    "mean_embedding",
    "meta_train",
    "network_accuracies",
    "predict",
    "properties",
    "read_card",
    "recalibrate",
    "ridge_head",
    "save",
    "solve_ridge",
    "state_of",
    "transfer",
    "validation",
]
