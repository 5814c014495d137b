"""Optimizers that are learned: contract, architectures, tasks and meta-training."""

from nascence.optim.baselines import SGD, Adam, AdamW, NAdamW
from nascence.optim.contract import LearnedOptimizer, State

__all__ = ["SGD", "Adam", "AdamW", "LearnedOptimizer", "NAdamW", "State"]
