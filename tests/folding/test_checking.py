"""When two ONNX models count as the same."""

import numpy as np
import onnx
import pytest

from nascence.folding.checking import OnnxTruth, tolerance_of


def test_a_model_holds_against_itself_and_not_against_another(parse, draw) -> None:
    text = "g (float[N,3] x) => (float[N,2] y) { y = MatMul(x, w) }"
    weight = draw(3, 2)
    truth = OnnxTruth(parse(text, w=weight))
    assert truth.sizes == {"x:0": 1}
    assert len(truth.inputs) == 2
    assert truth.holds(parse(text, w=weight))
    assert truth.holds(parse(text, w=weight * np.float32(1 + 1e-6)))
    assert not truth.holds(parse(text, w=weight * np.float32(1.01)))
    assert truth.error(parse(text, w=draw(4, 2))) == float("inf")


def test_random_outputs_are_not_compared(parse) -> None:
    truth = OnnxTruth(
        parse("g (float[2] x) => (float[2] y) { n = RandomNormalLike(x) y = Add(x, n) }")
    )
    assert not truth.runs
    assert "another output each time" in truth.notes[0]


def test_a_network_that_amplifies_rounding_is_not_compared(parse) -> None:
    text = "g (float[64] x) => (float[64] y) { a = Mul(x, large)  y = Sin(a) }"
    truth = OnnxTruth(parse(text, large=np.float32(1e9)))
    assert not truth.runs
    assert "last place" in truth.notes[0]


def test_what_onnx_runtime_does_not_load_is_said(parse) -> None:
    model = parse("g (float[2] x) => (float[2] y) { y = Odd(x) }")
    truth = OnnxTruth(model)
    assert not truth.runs
    assert "ONNX Runtime does not load it" in truth.notes[0]


def test_the_coarsest_type_sets_the_tolerance(parse, draw) -> None:
    text = "g (float[2,2] x) => (float[2,2] y) { y = MatMul(x, w) }"
    assert tolerance_of(parse(text, w=draw(2, 2))) == 1e-4
    assert tolerance_of(parse(text, w=draw(2, 2).astype(np.float16))) == 1e-2


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_outputs_that_are_no_tensors_are_compared(kind: str, parse) -> None:
    body = "s = SequenceConstruct(x, x)" if kind == "list" else "s = SequenceConstruct(x)"
    model = parse(f"g (float[2] x) => (seq(float[2]) s) {{ {body} }}")
    assert isinstance(model, onnx.ModelProto)
    assert OnnxTruth(model).holds(model)
