"""ONNX Runtime without its chatter. Nothing here needs torch."""

from pathlib import Path
from typing import Any


def onnx_session(
    model: str | Path | bytes, *, threads: int | None = None, optimise: bool = True
) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU that logs nothing.

    Args:
        model: Path of an ONNX file, or its content.
        threads: Of an operator; None for as many as there are cores.
        optimise: Whether ONNX Runtime may rewrite the graph before it runs it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if threads is not None:
        options.intra_op_num_threads = threads
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
