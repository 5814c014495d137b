"""ONNX files: read without trusting them, run, measured and written whole."""

from nascence.onnx_files.costs import OnnxCost, cost_of_graph
from nascence.onnx_files.inference import Value, infer_values
from nascence.onnx_files.reading import read_onnx, write_onnx
from nascence.onnx_files.running import Examples, draw_examples, open_session, run_session

__all__ = [
    "Examples",
    "OnnxCost",
    "Value",
    "cost_of_graph",
    "draw_examples",
    "infer_values",
    "open_session",
    "read_onnx",
    "run_session",
    "write_onnx",
]
