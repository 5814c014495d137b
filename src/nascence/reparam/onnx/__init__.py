"""Folding of ONNX files: their graph read as linear operators, rewritten, and written again."""

from nascence.reparam.onnx.folding import OnnxFold, fold_onnx

__all__ = ["OnnxFold", "fold_onnx"]
