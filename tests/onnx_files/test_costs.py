"""Nodes, parameters and multiply-adds, counted by hand."""

from nascence.onnx_files import cost_of_graph, infer_values


def test_multiply_adds_of_every_product(parse, draw) -> None:
    text = (
        "g (float[2,4,8,8] x) => (float[2,5] y) { a = Conv <group = 2> (x, w)  b = "
        "BatchNormalization(a, s, s, s, s)  c = ConvTranspose(b, t)  d = GlobalAveragePool(c)  "
        "e = Flatten(d)  f = Gemm <transB = 1> (e, m)  y = MatMul(f, n) }"
    )
    model = parse(
        text, w=draw(6, 2, 3, 3), s=draw(6), t=draw(6, 3, 2, 2), m=draw(7, 3), n=draw(7, 5)
    )
    cost = cost_of_graph(model, infer_values(model))
    convolutions = 2 * 6 * 6 * 6 * (2 * 9) + 2 * 6 * 6 * 6 * (3 * 4)
    assert cost.macs == convolutions + 2 * 7 * 3 + 2 * 5 * 7
    assert cost.nodes == 7
    assert cost.batch_norms == 1
    assert cost.parameters == 6 * 2 * 9 + 6 + 6 * 3 * 4 + 21 + 35
    assert cost.size == 4 * cost.parameters


def test_unknown_shapes_give_no_count(parse, draw) -> None:
    model = parse("g (float[N,4] x) => (float[N,5] y) { y = MatMul(x, w) }", w=draw(4, 5))
    assert cost_of_graph(model, infer_values(model)).macs is None
