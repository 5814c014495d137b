"""Folding of modules and of ONNX files, by one set of rules: those of ``nascence.reparam``."""

from nascence.folding.command import OnnxFoldJob, fold_file
from nascence.folding.fold import fold, fold_with_report
from nascence.folding.model import OnnxFold, fold_onnx

__all__ = ["OnnxFold", "OnnxFoldJob", "fold", "fold_file", "fold_onnx", "fold_with_report"]
