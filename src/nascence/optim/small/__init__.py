"""The small learned optimizer, and its step as private kernels in PyTorch and in C++."""

from nascence.optim.small.optimizer import Small

__all__ = ["Small"]
