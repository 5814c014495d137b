"""Optimizers that are learned: contract, architectures, tasks and meta-training."""

from nascence.optim.baselines import SGD, Adam, AdamW, NAdamW
from nascence.optim.checkpoint import create, load, read_card, save
from nascence.optim.contract import LearnedOptimizer, State
from nascence.optim.feed_forward import FeedForward
from nascence.optim.hierarchical import Hierarchical
from nascence.optim.learned import Learned
from nascence.optim.meta_train import MetaTraining, meta_train
from nascence.optim.opt_list import load_opt_list
from nascence.optim.small import Small
from nascence.optim.tuned_adam import Adam8p, NAdamWCosine

__all__ = [
    "SGD",
    "Adam",
    "Adam8p",
    "AdamW",
    "FeedForward",
    "Hierarchical",
    "Learned",
    "LearnedOptimizer",
    "MetaTraining",
    "NAdamW",
    "NAdamWCosine",
    "Small",
    "State",
    "create",
    "load",
    "load_opt_list",
    "meta_train",
    "read_card",
    "save",
]
