"""Shapes of which some sizes are fixed."""

import numpy as np
import pytest

from nascence.folding import fold_onnx
from nascence.onnx_files import open_session

HALF = (
    "s = Shape(x)  c = Gather(s, one)  h = Div(c, two)  a = Unsqueeze(h, zeros)  "
    "p = Slice(x, zeros, a, ones)  q = Slice(x, a, b, ones)  y = Mul(p, q)"
)
NUMBERS = {
    "one": np.array(1), "two": np.array(2), "zeros": np.array([0]), "ones": np.array([1]),
    "b": np.array([4]), "rest": np.array([2, -3]), "twelve": np.array([12]),
}  # fmt: skip


def same(one, two, **inputs) -> bool:
    mine, theirs = (open_session(m.SerializeToString()).run(None, inputs)[0] for m in (one, two))
    return mine.shape == theirs.shape and np.allclose(mine, theirs)


def test_half_the_channels_are_a_constant_whatever_the_batch(parse, draw) -> None:
    model = parse(f"g (float[N,4,H,W] x) => (float[a,b,c,d] y) {{ {HALF} }}", **NUMBERS)
    found = fold_onnx(model).model
    assert [node.op_type for node in found.graph.node] == ["Slice", "Slice", "Mul"]
    for batch in (1, 3):
        assert same(found, model, x=draw(batch, 4, 5, 6))


@pytest.mark.parametrize(
    ("sizes", "left"),
    [
        ("n, twelve", ["Reshape"]),  # one unknown size
        ("n, w, ones", ["Shape", "Gather", "Gather", "Concat", "Reshape"]),  # two of them
    ],
)
def test_a_shape_with_one_unknown_size_is_a_constant(sizes: str, left, parse, draw) -> None:
    width = 4 if sizes == "n, twelve" else "W"
    text = (
        f"g (float[N,3,{width}] x) => (float[a,b] y) {{ s = Shape(x)  n = Gather(s, zeros)  "
        f"w = Gather(s, two1)  t = Concat <axis = 0> ({sizes})  y = Reshape(x, t) }}"
    )
    if sizes != "n, twelve":
        text = text.replace("(n, w, ones)", "(n, w, three)").replace("float[a,b]", "float[a,b,c]")
    model = parse(text, three=np.array([3]), two1=np.array([2]), **NUMBERS)
    found = fold_onnx(model).model
    assert [node.op_type for node in found.graph.node] == left
    for batch in (1, 3):
        assert same(found, model, x=draw(batch, 3, 4))
