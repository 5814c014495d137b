"""Meta-training of learned optimizers by evolution strategies."""

from nascence.optim.meta.training import MetaTraining, meta_train

__all__ = ["MetaTraining", "meta_train"]
