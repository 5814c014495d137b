"""ONNX models folded: what becomes of each pattern, by ONNX Runtime before and after."""

import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import nascence
from nascence.folding import fold_onnx
from nascence.folding import model as folding
from nascence.onnx_files import open_session
from nascence.reparam import RepVGG, fold_with_report

IMAGES = "g (float[N,4,H,W] x) => (float[n,c,h,w] y) {"


def kinds(model: Any) -> list[str]:
    return sorted(node.op_type for node in model.graph.node)


def outputs(model: Any, **inputs: Any) -> list[Any]:
    session = open_session(model.SerializeToString(), optimise=False)
    return list(session.run(None, inputs))


def assert_same(one: Any, two: Any, **inputs: Any) -> None:
    for a, b in zip(outputs(one, **inputs), outputs(two, **inputs), strict=True):
        assert a.shape == b.shape
        assert np.linalg.norm(a - b) <= 2e-5 * np.linalg.norm(b) + 1e-12


@pytest.fixture
def weights(draw) -> dict[str, Any]:
    """Kernels for 4 channels, and the parts of two BatchNorms."""
    variance = 0.5 + np.abs(draw(4))
    return {
        "k3": draw(4, 4, 3, 3), "k1": draw(4, 4, 1, 1), "k5": draw(4, 4, 5, 5),
        "d3": draw(4, 1, 3, 3), "b": draw(4), "s": 1 + 0.3 * draw(4), "t": draw(4), "m": draw(4),
        "v": variance, "c": draw(4, 1, 1), "one": np.float32(1), "two": np.float32(2),
        "pads": np.array([0, 0, 1, 0, 0, 0, 2, 1]), "u3": draw(4, 2, 3, 3),
        "w": draw(4, 6), "w6": draw(6), "z6": np.zeros(6, np.float32),
        "g": draw(5, 4), "k8": draw(4, 8, 1, 1),
        "halves": np.array([2, 2]), "h1": draw(2, 2, 1, 1), "b2": draw(2),
        "i0": np.array([0]), "i1": np.array([1]), "i2": np.array([2]), "i4": np.array([4]),
    }  # fmt: skip


BN = "BatchNormalization({}, s, t, m, v)"
SAME = "<pads = [1, 1, 1, 1]>"
PATTERNS: dict[str, tuple[str, list[str]]] = {
    "norm after a convolution": (f"a = Conv(x, k3, b)  y = {BN.format('a')}", ["Conv"]),
    "norm after a grouped dilated one": (
        f"a = Conv <group = 4, dilations = [2, 1], pads = [0, 1, 2, 3]> (x, d3)  y = "
        f"{BN.format('a')}",
        ["Conv"],
    ),
    "norm before a convolution": (f"a = {BN.format('x')}  y = Conv(a, k3)", ["Conv"]),
    "norm after a transposed one": (
        f"a = ConvTranspose <group = 2, strides = [2, 2], output_padding = [1, 0], pads = "
        f"[1, 0, 0, 1]> (x, u3)  y = {BN.format('a')}",
        ["Conv"],
    ),
    "same padding of unknown size": (
        f'a = Conv <auto_pad = "SAME_UPPER", strides = [2, 2]> (x, k3)  y = {BN.format("a")}',
        ["Conv"],
    ),
    "output shape of a transposed one": (
        f"a = ConvTranspose <group = 2, strides = [2, 2], output_shape = [17, 19]> (x, u3)  y = "
        f"{BN.format('a')}",
        ["ConvTranspose"],
    ),
    "branches": (
        f"a = Conv {SAME} (x, k3)  b1 = {BN.format('a')}  c1 = Conv(x, k1)  d1 = "
        f"{BN.format('c1')}  e = {BN.format('x')}  f = Add(b1, d1)  y = Add(f, e)",
        ["Conv"],
    ),
    "same padding and an average": (
        'a = Conv <auto_pad = "SAME_LOWER"> (x, k3)  p = AveragePool <kernel_shape = [3, 3], pads '
        "= [1, 1, 1, 1], count_include_pad = 1> (x)  y = Sub(a, p)",
        ["Conv"],
    ),
    "padding before a convolution": ("a = Pad(x, pads)  y = Conv(a, k3)", ["Conv"]),
    "scales and shifts": (
        "a = Mul(x, c)  d = Add(c, a)  e = Neg(d)  f = Div(e, two)  y = Conv(f, k3)",
        ["Conv"],
    ),
    "through an average and a flattening": (
        f"a = {BN.format('x')}  p = GlobalAveragePool(a)  f = Flatten(p)  z = Gemm <transB = 1> "
        "(f, g)  i = Identity(z)  sh = Shape(x)  y = Unsqueeze(i, ax)",
        ["Flatten", "Gemm", "GlobalAveragePool", "Unsqueeze"],
    ),
    "concatenated branches and a convolution": (
        f"a = Conv {SAME} (x, k3)  b1 = Conv(x, k1)  d = Concat <axis = 1> (a, b1)  y = "
        "Conv(d, k8)",
        ["Conv"],
    ),
    "matrix products": ("a = MatMul(x, w)  d = Add(a, w6)  y = MatMul(d, w66)", ["MatMul"]),
    "a bias of zeros": ("a = MatMul(x, w)  d = Add(a, z6)  y = Relu(d)", ["MatMul", "Relu"]),
    "a computed weight": ("k = Mul(k3, two)  y = Conv(x, k)", ["Conv"]),
    "dropout and identity": (
        "a = Conv(x, k3)  d = Dropout(a)  i = Identity(d)  y = Relu(i)",
        ["Conv", "Relu"],
    ),
    "two norms where nothing is linear": (
        f"r = Relu(x)  a = {BN.format('r')}  d = {BN.format('a')}  y = Relu(d)",
        ["BatchNormalization", "Relu", "Relu"],
    ),
    "a scale after parts of a convolution": (
        "a = Conv(x, k3)  p, q = Split <axis = 1> (a, halves)  r = Mul(p, two)  u = Relu(q)  "
        "o = Relu(r)  y = Concat <axis = 1> (o, u)",
        ["Concat", "Conv", "Relu", "Relu", "Split"],
    ),
    "a scale before parts that are linear": (
        f"r = Relu(x)  a = {BN.format('r')}  p, q = Split <axis = 1> (a, halves)  "
        "i = Conv(p, h1)  j = Conv(q, h1, b2)  k = Relu(i)  l = Relu(j)  "
        "y = Concat <axis = 1> (k, l)",
        ["Concat", "Conv", "Conv", "Relu", "Relu", "Relu", "Split"],
    ),
    "parts that are summed": (
        "p, q = Split <axis = 1> (x, halves)  i = Conv(p, h1)  j = Conv(q, h1, b2)  y = Add(i, j)",
        ["Conv"],
    ),
    "slices that are summed": (
        "p = Slice(x, i0, i2, i1)  q = Slice(x, i2, i4, i1)  i = Conv(p, h1)  j = Conv(q, h1)  "
        "y = Sub(i, j)",
        ["Conv"],
    ),
    "what nothing reads": ("a = Conv(x, k3)  d = Conv(a, k1)  y = Relu(a)", ["Conv", "Relu"]),
}


@pytest.mark.parametrize("name", list(PATTERNS))
def test_a_pattern_becomes_fewer_nodes(name: str, parse, weights, draw) -> None:
    body, expected = PATTERNS[name]
    if name in ("matrix products", "a bias of zeros"):
        weights |= {"w": draw(9, 6), "w66": draw(6, 2), "w6": draw(6)}
    ends = "float[n,c,h,w] y" if name != "through an average and a flattening" else "float[n,c,u] y"
    model = parse(f"g (float[N,4,8,9] x) => ({ends}) {{ {body} }}", **weights, ax=np.array([2]))
    before = model.SerializeToString()
    found, report = fold_onnx(model, repeats=0)
    assert model.SerializeToString() == before
    onnx.checker.check_model(found)
    left = [kind for kind in kinds(found) if kind != "Constant"]
    if name in ("norm after a transposed one", "output shape of a transposed one"):
        expected = ["ConvTranspose"]
    if name == "matrix products":
        expected = ["Add", "MatMul"]
    assert left == expected, str(report)
    for batch in (1, 3):
        assert_same(found, model, x=draw(batch, 4, 8, 9))
    again = fold_onnx(found, verify=False, repeats=0)
    assert again.report.folded == ()
    assert again.model is found


LEFT: dict[str, tuple[str, str]] = {
    "batch statistics": (
        "a, rm, rv = BatchNormalization <training_mode = 1> (x, s, t, m, v)  y = Conv(a, k1)",
        "exported in training mode",
    ),
    "statistics from the input": (
        "q = ReduceMean <axes = [0, 2, 3], keepdims = 0> (x)  "
        "y = BatchNormalization(x, s, t, q, v)",
        "computed from the input",
    ),
    "zero variance": (
        "a = Conv(x, k3)  y = BatchNormalization <epsilon = 0.0> (a, s, t, m, zero)",
        "zero",
    ),
    "a shift and zero padding": (
        f"r = Relu(x)  a = {BN.format('r')}  y = Conv {SAME} (a, k3)",
        "zero padding",
    ),
    "an unknown operator": (
        f"a = Conv(x, k3)  u = Relu(a)  w1 = own.Odd(u)  y = {BN.format('w1')}",
        "number of axes",
    ),
    "a statistic of the input": (
        f"a = Conv(x, k3)  n = InstanceNormalization(a, s, t)  y = {BN.format('n')}",
        "statistics depend on the input",
    ),
}


@pytest.mark.parametrize("name", list(LEFT))
def test_what_is_left_is_named_with_its_reason(name: str, parse, weights) -> None:
    body, reason = LEFT[name]
    model = parse(f"{IMAGES} {body} }}", zero=np.zeros(4, np.float32), **weights)
    if name == "an unknown operator":
        node = next(node for node in model.graph.node if node.op_type.endswith("Odd"))
        node.op_type, node.domain = "Odd", "own"
        model.opset_import.add(domain="own", version=1)
    report = fold_onnx(model, verify=name != "an unknown operator", repeats=0).report
    assert any(reason in refusal.reason for refusal in report.left), str(report)


def test_a_constant_that_is_too_large_to_be_computed_ahead_stays(parse, weights, draw) -> None:
    body = (
        "e = Expand(one, big)  i = Transpose <perm = [0, 1, 3, 2]> (e)  j = Identity(i)  "
        "k = Neg(j)  a = Conv(x, k3)  y = Add(a, k)"
    )
    model = parse(f"{IMAGES} {body} }}", big=np.array([1, 4, 200, 300]), **weights)
    found = fold_onnx(model, verify=False, repeats=0).model
    assert_same(found, model, x=draw(1, 4, 302, 202))


def test_names_metadata_and_versions_stay(parse, weights) -> None:
    body = f"a = Conv(x, k3)  y = {BN.format('a')}  z = Relu(y)"
    model = parse(f"{IMAGES[:-3]}, float[n2,c2,h2,w2] z) {{ {body} }}", ir=7, **weights)
    model.doc_string, model.producer_name = "about it", "a framework"
    onnx.helper.set_model_props(model, {"labels": "cat, dog"})
    model.graph.doc_string, model.graph.input[0].doc_string = "the graph", "pixels"
    model.graph.node[0].doc_string, model.graph.node[0].name = "first layer", "stem"
    found = fold_onnx(model, repeats=0).model
    assert kinds(found) == ["Conv", "Relu"]
    for field in ("ir_version", "producer_name", "doc_string", "metadata_props", "opset_import"):
        assert getattr(found, field) == getattr(model, field), field
    assert found.graph.input == model.graph.input
    assert found.graph.output == model.graph.output
    assert found.graph.doc_string == "the graph"
    assert (found.graph.node[0].name, found.graph.node[0].doc_string) == ("stem", "first layer")


def test_initializers_that_a_caller_may_set_are_no_constants(parse, weights, draw) -> None:
    ends = "float[N,4,9,9] x, float[4,4,3,3] k3) => (float[n,c,h,w] y"
    text = f"g ({ends}) {{ a = Conv(x, k3)  y = {BN.format('a')} }}"
    model = parse(text, **weights)
    found, report = fold_onnx(model, repeats=0)
    assert not report.folded
    assert any("a caller may set" in refusal.reason for refusal in report.left)
    old = parse(text, ir=3, **weights)
    del old.graph.initializer[:], old.graph.input[1:]
    for name in ("k3", "s", "t", "m", "v"):
        old.graph.initializer.append(onnx.numpy_helper.from_array(weights[name], name))
        old.graph.input.append(onnx.helper.make_tensor_value_info(name, 1, weights[name].shape))
    found = fold_onnx(old, repeats=0).model
    assert kinds(found) == ["Conv"]
    assert found.ir_version == 3
    named = {value.name for value in found.graph.input}
    assert named == {"x", *(tensor.name for tensor in found.graph.initializer)}
    onnx.checker.check_model(found)
    assert_same(found, old, x=draw(2, 4, 9, 9))


def test_shared_weights_are_folded_apart_and_written_once_where_equal(parse, weights, draw) -> None:
    body = (
        f"a = Conv(x, k3)  p = {BN.format('a')}  d = Conv(x, k3)  q = Relu(d)  e = Relu(x)  "
        f"f = Conv(e, k3)  g1 = {BN.format('f')}  r = Relu(p)  i = Add(q, r)  y = Mul(i, g1)"
    )
    model = parse(f"{IMAGES} {body} }}", **weights)
    found = fold_onnx(model, repeats=0).model
    assert "BatchNormalization" not in kinds(found)
    assert "k3" in {tensor.name for tensor in found.graph.initializer}
    assert sum(list(tensor.dims) == [4, 4, 3, 3] for tensor in found.graph.initializer) == 2
    assert_same(found, model, x=draw(2, 4, 9, 9))


def test_branches_of_if_are_folded_and_read_what_they_read(parse, weights, draw) -> None:
    text = (
        f"g (float[N,4,H,W] x, bool z) => (float[n,c,h,w] y) {{ a = Conv(x, k1)  "
        f"o = {BN.format('a')}  y = If(z) <then_branch = one () => (float[e] u) "
        f"{{ p = Conv(o, k3)  u = {BN.format('p')} }}"
        ", else_branch = two () => (float[f] q) { q = Relu(o) }> }"
    )
    model = parse(text, **weights)
    found = fold_onnx(model, repeats=0).model
    assert kinds(found) == ["Conv", "If"]
    branch = next(a.g for a in found.graph.node[-1].attribute if a.name == "then_branch")
    assert [node.op_type for node in branch.node] == ["Conv"]
    for flag in (True, False):
        assert_same(found, model, x=draw(2, 4, 9, 9), z=np.array(flag))


def test_a_loop_keeps_its_meaning(parse, weights, draw) -> None:
    text = (
        "g (float[1,4,6,6] x) => (float[n,c,h,w] y) { y = Loop(count, yes, x) <body = b (int64 i, "
        f"bool go, float[1,4,6,6] s0) => (bool go2, float[1,4,6,6] s1) {{ go2 = Identity(go)  "
        f"p = Conv {SAME} (s0, k3)  s1 = {BN.format('p')} }}> }}"
    )
    model = parse(text, count=np.array(3), yes=np.array(True), **weights)
    found = fold_onnx(model, repeats=0).model
    body = found.graph.node[-1].attribute[0].g
    assert sorted(node.op_type for node in body.node) == ["Conv", "Identity"]
    assert_same(found, model, x=draw(1, 4, 6, 6))


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_is_computed_wide_and_rounded_once(kind: str, parse, weights) -> None:
    import ml_dtypes

    own = np.float16 if kind == "float16" else ml_dtypes.bfloat16
    half = {k: v.astype(own) if v.dtype == np.float32 else v for k, v in weights.items()}
    text = (
        f"g ({kind}[N,4,8,8] x) => ({kind}[n,c,h,w] y) {{ a = Conv(x, k3)  y = {BN.format('a')} }}"
    )
    found = fold_onnx(parse(text, opset=22, ir=10, **half), verify=False, repeats=0).model
    wide = {name: value.astype(np.float64) for name, value in half.items()}
    eps = float(np.float32(1e-5))
    scale = wide["s"] / np.sqrt(wide["v"] + eps)
    expected = (wide["k3"] * scale.reshape(-1, 1, 1, 1)).astype(own)
    assert kinds(found) == ["Conv"]
    weight = onnx.numpy_helper.to_array(found.graph.initializer[0])
    assert weight.dtype == own
    assert np.array_equal(weight.astype(np.float32), expected.astype(np.float32))


def test_weights_that_leave_half_precision_are_undone(parse, weights) -> None:
    weights = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in weights.items()}
    weights |= {"k3": weights["k3"] * 100, "s": weights["s"] * 900}
    ends = "float16[1,4,8,8] x) => (float16[n,c,h,w] y"
    text = f"g ({ends}) {{ i = Identity(x)  a = Conv(i, k3)  y = {BN.format('a')} }}"
    report = fold_onnx(parse(text, **weights), verify=False, repeats=0).report
    assert any("the check failed" in refusal.reason for refusal in report.left)
    assert [rewrite.rule for rewrite in report.folded] == ["drop"]


def test_a_wrong_rewrite_is_found_and_undone_alone(
    parse, weights, draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One rule is broken on purpose; the others stay."""
    plain = folding.write_model

    def broken(model: Any, context: Any, forbidden: Any, limit: int | None) -> Any:
        found = plain(model, context, forbidden, limit)
        if any(rewrite.where == "o" for rewrite in found.rewrites):
            weight = next(t for t in found.model.graph.initializer if t.name == "n.weight")
            weight.raw_data = (1 + onnx.numpy_helper.to_array(weight)).tobytes()
        return found

    monkeypatch.setattr(folding, "write_model", broken)
    body = (
        f"l = Conv(x, k3)  m1 = {BN.format('l')}  r = Relu(m1)  n = Conv(r, k1)  "
        f"o = {BN.format('n')}  y = Relu(o)"
    )
    model = parse(f"{IMAGES} {body} }}", **weights)
    found, report = fold_onnx(model, repeats=0)
    assert [refusal.where for refusal in report.left if "undone" in refusal.reason] == ["o"]
    assert Counter(kinds(found)) == {"Conv": 2, "Relu": 2, "BatchNormalization": 1}
    assert_same(found, model, x=draw(2, 4, 9, 9))


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda m: setattr(m.opset_import[0], "version", 9), "opset 9"),
        (lambda m: setattr(m.opset_import[0], "version", 999), "opset 999"),
        (lambda m: setattr(m.graph.node[1], "op_type", "QuantizeLinear"), "quantised already"),
    ],
)
def test_models_that_are_returned_as_they_were(
    change: Callable[[Any], None], note: str, parse, weights
) -> None:
    model = parse(f"{IMAGES} a = Conv(x, k3)  y = {BN.format('a')} }}", **weights)
    change(model)
    found, report = fold_onnx(model)
    assert found is model
    assert any(note in line for line in report.notes)


@pytest.mark.parametrize("opset", [11, 12, 13, 15, 18, 21, 23])
def test_every_opset_from_11_on(opset: int, parse, weights, draw) -> None:
    body = f"p = Pad(x, pads)  a = Conv(p, k3)  d = {BN.format('a')}  e = Dropout(d)  y = Relu(e)"
    model = parse(f"{IMAGES} {body} }}", opset=opset, **weights)
    found = fold_onnx(model, repeats=0).model
    assert kinds(found) == ["Conv", "Relu"]
    assert_same(found, model, x=draw(2, 4, 9, 9))


def test_the_public_function_takes_files_and_models(parse, weights, draw, tmp_path: Path) -> None:
    model = parse(f"{IMAGES} a = Conv(x, k3)  y = {BN.format('a')} }}", **weights)
    onnx.save(model, tmp_path / "model.onnx")
    for source in (str(tmp_path / "model.onnx"), tmp_path / "model.onnx", model):
        assert kinds(nascence.fold(source)) == ["Conv"]
    x = torch.from_numpy(draw(2, 4, 9, 9))
    assert kinds(nascence.fold(model, x)) == ["Conv"]
    with pytest.raises(ValueError, match="takes x; got 2 inputs"):
        nascence.fold(model, x, x)
    with pytest.raises(ValueError, match="does not run on the inputs"):
        nascence.fold(model, x[:, :2])


def test_an_exported_network_folds_like_the_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, x = RepVGG("A0").eval(), torch.randn(2, 3, 64, 64)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 1.5)
    path = tmp_path / "a0.onnx"
    options: dict[str, Any] = {"dynamo": False, "do_constant_folding": False}
    options["training"] = torch.onnx.TrainingMode.PRESERVE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is said to be the old one
        torch.onnx.export(
            network, (x,), path, dynamic_axes={"x": {0: "n"}}, input_names=["x"], **options
        )
    found, report = fold_onnx(path, repeats=0)
    folded, torch_report = fold_with_report(network, x, repeats=0)
    assert report.after.batch_norms == torch_report.after.batch_norms == 0
    assert report.after.macs == torch_report.after.macs // 2
    assert report.error_in_dtype < 1e-5
    expected = folded(x).detach().numpy()
    (mine,) = outputs(found, x=x.numpy())
    assert np.linalg.norm(mine - expected) < 1e-4 * np.linalg.norm(expected)
