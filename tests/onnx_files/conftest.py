"""What the tests of ONNX files share."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

HEADER = '<ir_version: {ir}, opset_import: ["" : {opset}]>\n'


def parsed(text: str, *, opset: int = 17, ir: int = 8, **weights: Any) -> onnx.ModelProto:
    """A model from ONNX's textual form, its weights given as arrays."""
    model = onnx.parser.parse_model(HEADER.format(ir=ir, opset=opset) + text)
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    model.graph.initializer.extend(tensors)
    return model


@pytest.fixture
def parse() -> Callable[..., onnx.ModelProto]:
    """``parsed``."""
    return parsed


@pytest.fixture
def draw() -> Callable[..., Any]:
    """Normal float32 numbers of a shape, the same in every run."""
    generator = np.random.default_rng(0)
    return lambda *shape: generator.standard_normal(shape).astype(np.float32)
