"""Optimizers that are learned: contract, architectures, tasks and meta-training."""

from nascence.optim.baselines import SGD, Adam, AdamW, NAdamW
from nascence.optim.checkpoint import create, load, read_card, save
from nascence.optim.contract import LearnedOptimizer, State
from nascence.optim.feed_forward import FeedForward
from nascence.optim.hierarchical import Hierarchical
from nascence.optim.learned import Learned
from nascence.optim.meta_train import MetaTraining, meta_train
from nascence.optim.small import Small

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "FeedForward",
    "Hierarchical",
    "Learned",
    "LearnedOptimizer",
    "MetaTraining",
    "NAdamW",
    "Small",
    "State",
    "create",
    "load",
    "meta_train",
    "read_card",
    "save",
]
