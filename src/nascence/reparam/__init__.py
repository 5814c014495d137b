"""Structural re-parameterisation: blocks with many branches, and folding of any model."""

from nascence.reparam.blocks import RepVGGBlock
from nascence.reparam.fold import fold

__all__ = ["RepVGGBlock", "fold"]
