"""A Gelu or LayerNorm in single operators stays one that ONNX Runtime knows."""

import numpy as np
import onnx
import pytest

from nascence.folding import fold_onnx
from nascence.onnx_files import open_session

GELU = {
    "halved last": "d = Div(a, r)  e = Erf(d)  f = Add(e, one)  g = Mul(a, f)  h = Mul(g, half)",
    "halved first": "d = Mul(a, q)  e = Erf(d)  f = Add(e, one)  i = Mul(a, half)  h = Mul(i, f)",
    "half inside": "d = Div(a, r)  e = Erf(d)  f = Add(e, one)  i = Mul(f, half)  h = Mul(a, i)",
}
NORM = (
    "n = ReduceMean <axes = [-1]> (a)  s = Sub(a, n)  p = Pow(s, two)  "
    "v = ReduceMean <axes = [-1]> (p)  t = Add(v, eps)  u = Sqrt(t)  d = Div(s, u)  "
    "e = Mul(d, scale)  h = Add(e, shift)"
)
NUMBERS = {
    "r": np.float32(2**0.5), "q": np.float32(0.5**0.5), "one": np.float32(1),
    "half": np.float32(0.5), "two": np.float32(2), "eps": np.float32(1e-5),
}  # fmt: skip


def fused_kinds(model, path) -> set[str]:
    """Operators after ONNX Runtime's own optimisation."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    return {node.op_type for node in onnx.load(path).graph.node}


@pytest.mark.parametrize("body", [*GELU.values(), NORM], ids=[*GELU, "LayerNorm"])
def test_runtimes_still_fuse_it(body: str, parse, draw, tmp_path) -> None:
    text = f"g (float[N,5,8] x) => (float[a,b,c] y) {{ i0 = Identity(x)  a = MatMul(i0, w)  {body}"
    weights = {"w": draw(8, 6), "w2": draw(6, 3), "scale": draw(6), "shift": draw(6)}
    model = parse(f"{text}  y = MatMul(h, w2) }}", **weights, **NUMBERS)
    found, report = fold_onnx(model, repeats=0)
    assert [rewrite.rule for rewrite in report.folded] == ["drop"]
    wanted = "LayerNormalization" if body == NORM else "Gelu"
    after = fused_kinds(found, tmp_path / "after.onnx")
    assert (wanted in after) == (wanted in fused_kinds(model, tmp_path / "before.onnx"))
    assert wanted in after or body in (GELU["halved first"], GELU["half inside"])
    x = draw(2, 5, 8)
    mine, theirs = (
        open_session(m.SerializeToString()).run(None, {"x": x})[0] for m in (found, model)
    )
    assert np.allclose(mine, theirs, atol=1e-5)


def test_a_scale_elsewhere_is_folded(parse, draw) -> None:
    text = (
        "g (float[N,5,8] x) => (float[a,b,c] y) { a = MatMul(x, w)  b = Mul(a, half)  y = Erf(b) }"
    )
    model = parse(text.replace("y = Erf(b)", "y = Tanh(b)"), w=draw(8, 6), half=np.float32(0.5))
    assert [node.op_type for node in fold_onnx(model).model.graph.node] == ["MatMul", "Tanh"]
