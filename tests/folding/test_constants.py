"""Constants of an ONNX graph: computed once, converted wide, rounded once."""

import ml_dtypes
import numpy as np
import onnx
import torch

from nascence.folding.constants import Constants, rounded, to_odd_float32
from nascence.onnx_files import Value


def node(kind: str, inputs: list[str], **settings) -> onnx.NodeProto:
    return onnx.helper.make_node(kind, inputs, ["y"], **settings)


def constants(**values) -> Constants:
    found = Constants()
    found.stored = {k: onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in values.items()}
    return found


def test_a_function_of_constants_is_computed() -> None:
    found = constants(a=np.float32([[1, 2]]), b=np.float32([[3], [4]]))
    assert found.compute(node("MatMul", ["a", "b"]), {})
    assert np.array_equal(found.array("y"), [[11]])
    assert found.proto("y").dims == [1, 1]


def test_shapes_are_constant_where_every_size_is_fixed() -> None:
    found = constants()
    assert not found.compute(node("Shape", ["x"]), {"x": Value(1, ("N", 3))})
    assert found.compute(node("Shape", ["x"]), {"x": Value(1, (2, 3))})
    assert found.array("y").tolist() == [2, 3]


def test_what_is_random_unknown_wrong_or_grows_is_not_computed() -> None:
    found = constants(a=np.float32([1, 2]), shape=np.array([1000, 1000]), less=np.array([-7]))
    assert not found.compute(node("RandomNormalLike", ["a"]), {})
    assert not found.compute(node("Neg", ["x"]), {})
    assert not found.compute(node("Reshape", ["a", "shape"]), {})
    assert not found.compute(node("ConstantOfShape", ["shape"]), {})
    assert not found.compute(node("Div", ["less", "less"]), {})
    assert not found.compute(onnx.helper.make_node("Neg", ["a"], ["y"], domain="own"), {})


def test_names_of_a_graph_hide_those_outside() -> None:
    outer = constants(a=np.float32([1]), b=np.float32([2]))
    inner = Constants(outer, own=["a"])
    assert "a" not in inner
    assert "b" in inner
    assert inner.array("b") == 2
    assert inner.proto("b") is None


def test_bfloat16_is_rounded_once() -> None:
    """A value just above a tie of bfloat16 that float32 would round to the tie."""
    tie = 1 + 2.0**-8
    value = torch.tensor(
        [tie + 2.0**-40, tie - 2.0**-40, tie, -tie - 2.0**-40], dtype=torch.float64
    )
    found = rounded(value, onnx.TensorProto.BFLOAT16).astype(np.float64)
    assert found.tolist() == [1 + 2.0**-7, 1, 1, -1 - 2.0**-7]
    assert value.float().to(torch.bfloat16)[0] == 1  # what rounding twice gives


def test_rounding_to_odd_keeps_exact_values_and_marks_others() -> None:
    generator = np.random.default_rng(0)
    exact = generator.standard_normal(1000).astype(np.float32)
    assert np.array_equal(to_odd_float32(exact.astype(np.float64)), exact)
    wide = generator.standard_normal(1000)
    odd = to_odd_float32(wide)
    assert (odd.view(np.int32) & 1).all()
    assert (np.abs(odd - wide) < np.spacing(np.abs(odd))).all()


def test_every_float_type_is_written() -> None:
    value = torch.tensor([1 / 3], dtype=torch.float64)
    kinds = {1: np.float32, 10: np.float16, 11: np.float64, 16: ml_dtypes.bfloat16}
    for kind, dtype in kinds.items():
        assert rounded(value, kind).dtype == dtype
    assert np.isinf(rounded(torch.tensor([1e6], dtype=torch.float64), 10)).all()
