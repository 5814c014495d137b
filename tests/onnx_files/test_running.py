"""Inputs drawn from what a file declares, and ONNX Runtime on them."""

import numpy as np

from nascence.onnx_files import draw_examples, open_session
from nascence.onnx_files.running import seconds_in_turns


def shapes(model) -> list[tuple[int, ...]]:
    session = open_session(model.SerializeToString())
    found = draw_examples(model, session, np.random.default_rng(0))
    assert not found.problem
    return [example["x"].shape for example in found.inputs]


def test_batches_and_every_dynamic_size_are_tried(parse, draw) -> None:
    text = "g (float[N,C,H,W] x) => (float[N,4,h,w] y) { y = Conv(x, w) }"
    found = shapes(parse(text, w=draw(4, 3, 3, 3)))
    assert found == [(1, 3, 64, 64), (3, 3, 64, 64), (2, 3, 96, 96)]


def test_a_fixed_shape_is_one_example(parse, draw) -> None:
    text = "g (float[1,3,9,9] x) => (float[a,b,c,d] y) { y = Conv(x, w) }"
    assert shapes(parse(text, w=draw(4, 3, 3, 3))) == [(1, 3, 9, 9)]


def test_sizes_that_a_network_needs_are_found(parse, draw) -> None:
    """A linear layer after a flattening takes one size only."""
    text = "g (float[N,3,H,W] x) => (float[N,2] y) { f = Flatten(x)  y = MatMul(f, w) }"
    session = open_session(parse(text, w=draw(3 * 32 * 32, 2)).SerializeToString())
    found = draw_examples(parse(text, w=draw(3 * 32 * 32, 2)), session, np.random.default_rng(0))
    assert [x["x"].shape for x in found.inputs] == [(1, 3, 32, 32), (3, 3, 32, 32)]
    assert found.problem


def test_whole_numbers_and_booleans_are_drawn_small(parse) -> None:
    text = "g (int64[N,4] x, bool[N,4] m) => (int64[N,4] y) { y = Where(m, x, x) }"
    model = parse(text)
    session = open_session(model.SerializeToString())
    inputs = draw_examples(model, session, np.random.default_rng(0)).inputs[0]
    assert inputs["x"].dtype == np.int64
    assert set(np.unique(inputs["x"])) <= {0, 1}
    assert inputs["m"].dtype == np.bool_


def test_what_cannot_be_drawn_is_said(parse) -> None:
    model = parse("g (float x) => (float y) { y = Neg(x) }")
    model.graph.input[0].type.tensor_type.ClearField("shape")
    session = open_session(model.SerializeToString())
    found = draw_examples(model, session, np.random.default_rng(0))
    assert not found.inputs
    assert "no declared shape" in found.problem


def test_runs_are_timed_in_turns() -> None:
    order = []
    times = seconds_in_turns(
        [lambda: order.append("a"), lambda: order.append("b")], repeats=3, warm_up=1
    )
    assert order == ["a", "b"] * 4
    assert [len(taken) for taken in times] == [3, 3]
