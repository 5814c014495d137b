"""Optimizers that are learned: contract, architectures, tasks and meta-training."""

from nascence.optim.baselines.first_order import SGD, Adam, AdamW, NAdamW
from nascence.optim.baselines.opt_list import load_opt_list
from nascence.optim.baselines.tuned_adam import Adam8p, NAdamWCosine
from nascence.optim.checkpoint import create, load, read_card, save
from nascence.optim.contract import LearnedOptimizer, State, TensorWise
from nascence.optim.feed_forward import FeedForward
from nascence.optim.hierarchical.optimizer import Hierarchical
from nascence.optim.learned import Learned
from nascence.optim.meta.training import MetaTraining, meta_train
from nascence.optim.small.optimizer import Small

__all__ = [
    "TensorWise",
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
