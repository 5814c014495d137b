"""Types and shapes from the inputs and weights alone."""

import numpy as np

from nascence.onnx_files import Value, infer_values
from nascence.onnx_files.inference import dynamic_sizes


def test_sizes_are_numbers_names_or_unknown(parse, draw) -> None:
    text = "g (float[N,3,H,8] x) => (float[N,4,h,w] y) { z = Conv(x, w)  y = Relu(z) }"
    model = parse(text, w=draw(4, 3, 3, 3))
    assert dynamic_sizes(model) == {"x:0": "N", "x:2": "H"}
    values = infer_values(model)
    assert values["z"].kind == 1
    assert values["z"].dims[:2] == ("x:0", 4)
    assert values["z"].dims[3] == 6
    assert values["z"].sizes is None
    assumed = infer_values(model, {"x:0": 2, "x:2": 9})
    assert assumed["y"].sizes == (2, 4, 7, 6)


def test_what_a_file_says_of_what_it_computes_is_not_believed(parse, draw) -> None:
    text = (
        "g (float[1,3,8,8] x) => (float[1,7,9,9] y) <float[5,5] z> { z = Conv(x, w) y = Relu(z) }"
    )
    model = parse(text, w=draw(4, 3, 3, 3))
    values = infer_values(model)
    assert values["z"].dims == values["y"].dims == (1, 4, 6, 6)


def test_equal_names_are_not_equal_sizes(parse) -> None:
    model = parse("g (float[N,N] x, float[N] z) => (float[a,b] y) { y = Neg(x) }")
    assert infer_values(model)["y"].dims == ("x:0", "x:1")


def test_an_unknown_operator_hides_only_what_comes_after_it(parse, draw) -> None:
    text = "g (float[1,3,8,8] x) => (float[a] y) { z = Conv(x, w)  u = Odd(z)  y = Neg(u) }"
    values = infer_values(parse(text, w=draw(4, 3, 1, 1)))
    assert values["z"].dims == (1, 4, 8, 8)
    assert values.get("u", Value()).dims is None


def test_values_inside_branches_are_known(parse, draw) -> None:
    text = (
        "g (float[1,3,8,8] x, bool c) => (float[a] y) { y = If(c) <then_branch = one () => "
        "(float[b] u) { u = Conv(x, w) }, else_branch = two () => (float[b] v) { v = Neg(x) }> }"
    )
    assert infer_values(parse(text, w=draw(4, 3, 1, 1)))["u"].dims == (1, 4, 8, 8)


def test_known_values_give_shapes(parse) -> None:
    text = "g (float[2,6] x) => (float[a,b] y) { s = Odd(x)  y = Reshape(x, s) }"
    known = {"s": np.array([3, 4])}
    assert infer_values(parse(text), known=known)["y"].dims == (3, 4)
