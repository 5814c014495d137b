"""Graph hypernetworks: predict all parameters of a network in one forward pass."""

from nascence.hypernet.ghn import GHN

__all__ = ["GHN"]
