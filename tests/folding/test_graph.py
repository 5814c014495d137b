"""An ONNX graph as nodes: what is read of it, and what is not."""

import numpy as np

from nascence.folding.graph import OnnxGraph, free_names
from nascence.folding.model import context_of
from nascence.reparam.operators import Convolution, pooling


def graph_of(model) -> OnnxGraph:
    return OnnxGraph(model.graph, context_of(model, {}))


def test_there_is_one_node_for_each_value_that_an_input_reaches(parse) -> None:
    text = (
        "g (float[2,6] x) => (float[a,b] y, float[c,d] v) { w = Add(k, k)  z = Mul(x, w)  "
        "u, v = Split <axis = 1> (z, n)  dead = Neg(z)  y = Neg(u) }"
    )
    graph = graph_of(parse(text, k=np.float32(1), n=np.array([4, 2])))
    assert [node.meta.get("name") for node in graph.nodes] == ["x", "z", "u", "v", "y", None]
    assert [(r.rule, r.where) for r in graph.rewrites] == [("dead", "dead"), ("constant", "w")]
    assert graph.values["v"].meta["shape"] == (2, 2)
    assert graph.values["u"].meta["kind"] == "Split"


def test_a_limit_stops_constants_too(parse) -> None:
    model = parse(
        "g (float[2] x) => (float[2] y) { w = Add(k, k)  y = Mul(x, w) }", k=np.float32(1)
    )
    graph = OnnxGraph(model.graph, context_of(model, {}), limit=0)
    assert not graph.rewrites
    assert "w" in graph.values


def test_values_that_branches_capture_are_read(parse) -> None:
    text = (
        "g (float[2] x, bool c) => (float[2] y) { z = Neg(x)  y = If(c) <then_branch = one () => "
        "(float[2] u) { u = Abs(z) }, else_branch = two () => (float[2] v) { v = Identity(x) }> }"
    )
    model = parse(text)
    graph = graph_of(model)
    assert graph.values["y"].meta["operands"] == ["c", "z", "x"]
    assert free_names(model.graph) == []
    assert free_names(model.graph.node[1].attribute[0].g) == ["z"]


def test_convolutions_hold_uneven_padding_of_zeros_alone(parse) -> None:
    graph = graph_of(parse("g (float[2] x) => (float[2] y) { y = Neg(x) }"))

    def padded(low: int, high: int, mode: str = "zeros") -> Convolution:
        return pooling(2, (3,), (1,), ((low, high),), mode=mode)

    assert graph.holds(padded(0, 2))
    assert not graph.holds(padded(-1, 2))
    assert not graph.holds(padded(1, 1, "reflect"))
    assert graph.holds(padded(0, 0, "reflect"))
