"""The end-to-end job: from images to a small trained network with its report."""

from nascence.design.folder import RunError, RunFolder
from nascence.design.network import load_folded
from nascence.design.pipeline import design, resume
from nascence.design.settings import DesignSettings

__all__ = ["DesignSettings", "RunError", "RunFolder", "design", "load_folded", "resume"]
