"""ONNX Runtime without its chatter. Nothing here needs torch."""

from typing import Any


def onnx_session(model: str | bytes) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU that logs errors alone.

    Args:
        model: Path of an ONNX file, or its content.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
