"""The hierarchical learned optimizer, and its step as private kernels in PyTorch and in C++."""

from nascence.optim.hierarchical.optimizer import Hierarchical

__all__ = ["Hierarchical"]
