"""Hand-designed optimizers in the form of learned ones, with the spaces they are tuned in."""

from nascence.optim.baselines.first_order import SGD, Adam, AdamW, NAdamW
from nascence.optim.baselines.opt_list import load_opt_list
from nascence.optim.baselines.tuned_adam import Adam8p, NAdamWCosine

__all__ = ["SGD", "Adam", "Adam8p", "AdamW", "NAdamW", "NAdamWCosine", "load_opt_list"]
