"""Random ONNX graphs of the supported operators, folded and compared with themselves.

    python -m benchmarks.folding.onnx_fuzz graphs --count 2000
    python -m benchmarks.folding.onnx_fuzz exported --count 300

``graphs`` makes graphs with onnx.helper, of opset 11 to the newest that ONNX Runtime takes. Each
is checked by onnx.checker before and after, folded without the safety net of the built-in check,
run in ONNX Runtime beside its source on two sizes, and folded again, which must change nothing.
``exported`` takes the random torch networks of benchmarks.reparam.fuzz, exports each with both
exporters of torch, and compares the number of layers left with what folding leaves in torch.
"""

import argparse
import contextlib
import io
import random
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from benchmarks import ledger
from benchmarks.reparam.fuzz import random_network
from nascence.folding import fold_onnx
from nascence.folding.graph import free_names
from nascence.onnx_files import open_session
from nascence.onnx_files.costs import all_nodes
from nascence.reparam import fold_with_report

OPSETS = (11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23)
LARGEST = 20000
Array = np.ndarray[Any, Any]


class Maker:
    """Grows a random graph; every step is run before it is kept."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.noise = np.random.default_rng(seed)
        self.opset = self.rng.choice(OPSETS)
        self.rank = self.rng.choice([0, 1, 2, 2, 2, 2, 3])
        size = {0: (), 1: (13,), 2: (9, 11), 3: (6, 7, 5)}[self.rank]
        self.shape = (3, self.rng.choice([2, 4, 6]), *size)
        self.dynamic = [self.rng.random() < 0.6, False]
        self.dynamic += [self.rng.random() < 0.5 for _ in size]
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.values: dict[str, Array] = {"x": self.draw(*self.shape)}
        self.count = 0
        self.ir_version = self.rng.choice([3, 7, 8, 8, 8, 9]) if self.opset < 15 else 8
        self.inputs_too = self.rng.random() < 0.1

    def draw(self, *shape: int) -> Array:
        return self.noise.standard_normal(shape).astype(np.float32)

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}_{self.count}"

    def constant(self, value: Array) -> str:
        """A weight: an initializer, shared at times, a Constant node or a computed value."""
        value = np.asarray(value)
        name, choice = self.name("w"), self.rng.random()
        if choice < 0.1:
            tensor = numpy_helper.from_array(value, name)
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        elif choice < 0.2 and value.dtype == np.float32:
            self.weights.append(numpy_helper.from_array(value / 2, f"{name}_half"))
            self.nodes.append(helper.make_node("Add", [f"{name}_half"] * 2, [name]))
        else:
            self.weights.append(numpy_helper.from_array(value, name))
        return name

    def model(self, outputs: Sequence[str]) -> Any:
        """The graph so far."""
        axes = enumerate(zip(self.dynamic, self.shape, strict=True))
        sizes = [f"d{axis}" if moves else size for axis, (moves, size) in axes]
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)]
        if self.ir_version < 4 or self.inputs_too:
            inputs += [
                helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in self.weights
            ]
        ranks = {name: value.ndim for name, value in self.values.items()}
        results = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * ranks[name])
            if name in ranks
            else helper.make_empty_tensor_value_info(name)
            for name in outputs
        ]
        graph = helper.make_graph(self.nodes, "random", inputs, results, self.weights)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=self.ir_version)

    def add(self, kind: str, inputs: list[str], outputs: int = 1, **settings: Any) -> list[str]:
        names = [self.name(kind.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **settings))
        return names

    def forget_unread(self, outputs: Sequence[str]) -> None:
        """Drop the nodes that no output depends on."""
        wanted, kept = set(outputs), []
        for node in reversed(self.nodes):
            if wanted & set(node.output):
                kept.append(node)
                wanted.update(node.input)
                wanted.update(n for a in node.attribute for n in free_names(a.g))
        self.nodes = kept[::-1]
        self.weights = [weight for weight in self.weights if weight.name in wanted]

    def grow(self) -> None:
        """One more step, dropped where ONNX Runtime refuses it."""
        kept = len(self.nodes), len(self.weights)
        source = self.rng.choice([list(self.values)[-1]] * 3 + list(self.values))
        spatial = self.values[source].ndim > 2
        steps = STEPS if spatial else FLAT_STEPS
        try:
            names = self.rng.choice(steps)(self, source)
            results = run(self.model(names), {"x": self.values["x"]})
        except Exception:  # ONNX Runtime itself refuses this randomly drawn step
            results, names = [], []
        good = results and all(
            r.size and r.size < LARGEST and r.ndim > 1 and np.isfinite(r).all() for r in results
        )
        if not good:
            del self.nodes[kept[0] :], self.weights[kept[1] :]
            return
        self.values.update(zip(names, results, strict=True))


def convolution(maker: Maker, source: str, *, normalise: bool = False) -> list[str]:
    rng, (_, channels, *size) = maker.rng, maker.values[source].shape
    rank = len(size)
    wide = rng.choice([2, 4, 6, channels])
    groups = rng.choice([g for g in (1, 1, 2, channels) if channels % g == 0 and wide % g == 0])
    kernel = [rng.choice([1, 1, 2, 3, 3, 4]) for _ in range(rank)]
    dilations = [rng.choice([1, 1, 1, 2]) for _ in range(rank)]
    settings: dict[str, Any] = {
        "strides": [rng.choice([1, 1, 1, 2]) for _ in range(rank)],
        "dilations": dilations,
        "group": groups,
    }
    half = [d * (k - 1) // 2 for d, k in zip(dilations, kernel, strict=True)]
    choice = rng.random()
    if choice < 0.15:
        settings["auto_pad"] = rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
        settings["dilations"] = [1] * rank
    elif choice < 0.6:
        settings["pads"] = half + half
    elif choice < 0.85:
        settings["pads"] = [rng.randint(0, 2) for _ in range(2 * rank)]
    if rng.random() < 0.8:
        settings["kernel_shape"] = kernel
    inputs = [source, maker.constant(maker.draw(wide, channels // groups, *kernel))]
    if rng.random() < 0.5:
        inputs.append(maker.constant(maker.draw(wide)))
    names = maker.add("Conv", inputs, **settings)
    return norm(maker, names[0], wide) if normalise else names


def branch(maker: Maker, source: str) -> list[str]:
    return convolution(maker, source, normalise=True)


def block(maker: Maker, source: str) -> list[str]:
    """Branches of one value, of equal width and size, summed or joined."""
    rng, (_, channels, *size) = maker.rng, maker.values[source].shape
    branches = [source] if rng.random() < 0.6 else []
    for _ in range(rng.randint(1, 3)):
        kernel = rng.choice([1, 3, 3, 5])
        groups = rng.choice([1, 1, channels])
        weight = maker.draw(channels, channels // groups, *([kernel] * len(size)))
        dilation = rng.choice([1, 2])
        pads = [dilation * (kernel - 1) // 2] * 2 * len(size)
        inputs = [source, maker.constant(weight)]
        settings = {"pads": pads, "group": groups, "dilations": [dilation] * len(size)}
        branches += maker.add("Conv", inputs, **settings)
        if rng.random() < 0.7:
            branches[-1:] = norm(maker, branches[-1], channels)
    if rng.random() < 0.3:
        weights: dict[str, Any] = {"kernel_shape": [3] * len(size), "pads": [1] * 2 * len(size)}
        branches += maker.add("AveragePool", [source], count_include_pad=1, **weights)
    if rng.random() < 0.2 and len(branches) > 1:
        joined = maker.add("Concat", branches, axis=1)
        weight = maker.draw(channels, channels * len(branches), *([1] * len(size)))
        return maker.add("Conv", [*joined, maker.constant(weight)])
    total = branches[0]
    for name in branches[1:]:
        total = maker.add(rng.choice(["Add", "Add", "Sub", "Sum"]), [total, name])[0]
    return [total]


def transposed(maker: Maker, source: str) -> list[str]:
    rng, (_, channels, *size) = maker.rng, maker.values[source].shape
    rank, wide = len(size), rng.choice([2, 4, channels])
    groups = rng.choice([g for g in (1, 2) if channels % g == 0 and wide % g == 0])
    kernel = [rng.choice([1, 2, 3]) for _ in range(rank)]
    strides = [rng.choice([1, 2]) for _ in range(rank)]
    settings: dict[str, Any] = {"strides": strides, "group": groups}
    if rng.random() < 0.2:
        settings["auto_pad"] = "SAME_UPPER"
    elif rng.random() < 0.5:
        settings["pads"] = [rng.randint(0, 1) for _ in range(2 * rank)]
        settings["output_padding"] = [rng.randint(0, s - 1) for s in strides]
    weight = maker.constant(maker.draw(channels, wide // groups, *kernel))
    names = maker.add("ConvTranspose", [source, weight], **settings)
    return norm(maker, names[0], wide) if rng.random() < 0.5 else names


def norm(maker: Maker, source: str, channels: int = 0) -> list[str]:
    channels = channels or maker.values[source].shape[1]
    parts = [1 + 0.3 * maker.draw(channels), maker.draw(channels), maker.draw(channels)]
    parts.append(0.5 + maker.noise.random(channels, dtype=np.float32))
    inputs = [source, *(maker.constant(part) for part in parts)]
    return maker.add("BatchNormalization", inputs, epsilon=maker.rng.choice([1e-5, 1e-3]))


def arithmetic(maker: Maker, source: str) -> list[str]:
    rng, value = maker.rng, maker.values[source]
    shapes: list[tuple[int, ...]] = [(), (1,), (value.shape[-1],)]
    shapes += [(value.shape[1], *([1] * (value.ndim - 2)))] * 3
    shapes += [(1, value.shape[1], *([1] * (value.ndim - 2))), value.shape[1:]]
    constant = maker.constant(1 + 0.5 * maker.noise.random(rng.choice(shapes), dtype=np.float32))
    pair = [source, constant] if rng.random() < 0.6 else [constant, source]
    return maker.add(rng.choice(["Add", "Mul", "Mul", "Sub", "Div"]), pair)


def binary(maker: Maker, source: str) -> list[str]:
    shape = maker.values[source].shape
    partners = [name for name, value in maker.values.items() if value.shape == shape]
    if maker.rng.random() < 0.2:  # one of another shape, which is spread
        partners = list(maker.values)
    kind = maker.rng.choice(["Add", "Add", "Sub", "Mul", "Sum", "Concat"])
    settings: dict[str, Any] = {"axis": 1} if kind == "Concat" else {}
    return maker.add(kind, [source, maker.rng.choice(partners)], **settings)


def pooling(maker: Maker, source: str) -> list[str]:
    rng, rank = maker.rng, maker.values[source].ndim - 2
    kernel = min(rng.choice([2, 3]), *maker.values[source].shape[2:])
    settings: dict[str, Any] = {"kernel_shape": [kernel] * rank}
    settings["strides"] = [rng.choice([1, 2])] * rank
    settings["ceil_mode"] = int(rng.random() < 0.2)
    if rng.random() < 0.6:
        settings["pads"] = [rng.randint(0, 1) for _ in range(2 * rank)]
        settings["count_include_pad"] = rng.randint(0, 1)
    elif rng.random() < 0.3:
        settings["auto_pad"] = "SAME_UPPER"
    if maker.opset >= 19 and rng.random() < 0.2:
        fits = 2 * (kernel - 1) < min(maker.values[source].shape[2:])
        settings["dilations"] = [2 if fits else 1] * rank
    return maker.add("AveragePool", [source], **settings)


def padding(maker: Maker, source: str) -> list[str]:
    rng, ndim = maker.rng, maker.values[source].ndim
    rank, mode = ndim - 2, rng.choice(["constant"] * 3 + ["reflect", "edge"])
    low = -1 if mode == "constant" and rng.random() < 0.2 else 0
    amounts = [rng.randint(low, 1) for _ in range(2 * rank)]
    axes = maker.opset >= 18 and rng.random() < 0.5
    full = amounts if axes else [0, 0, *amounts[:rank], 0, 0, *amounts[rank:]]
    inputs = [source, maker.constant(np.array(full, np.int64))]
    fill = rng.choice([None, 0.0, 0.5])
    if mode == "constant" and fill is not None:
        inputs.append(maker.constant(np.array(fill, np.float32)))
    if axes:
        inputs += [""] * (3 - len(inputs))
        inputs.append(maker.constant(np.arange(2, ndim)))
    return maker.add("Pad", inputs, mode=mode)


def simple(maker: Maker, source: str) -> list[str]:
    kind = maker.rng.choice(["Relu", "Relu", "Sigmoid", "Identity", "Neg", "Dropout", "Abs"])
    return maker.add(kind, [source])


def averaging(maker: Maker, source: str) -> list[str]:
    if maker.rng.random() < 0.5:
        return maker.add("GlobalAveragePool", [source])
    ndim, keeps = maker.values[source].ndim, maker.rng.randint(0, 1)
    axes = sorted(maker.rng.sample(range(2, ndim), maker.rng.randint(1, ndim - 2)))
    if maker.opset >= 18:
        axis = maker.constant(np.array(axes, np.int64))
        return maker.add("ReduceMean", [source, axis], keepdims=keeps)
    return maker.add("ReduceMean", [source], axes=axes, keepdims=keeps)


def reshaping(maker: Maker, source: str) -> list[str]:
    rng, shape = maker.rng, maker.values[source].shape
    choice = rng.randrange(6)
    if choice == 0:
        return maker.add("Flatten", [source], axis=1)
    if choice == 1:
        order = [0, *rng.sample(range(1, len(shape)), len(shape) - 1)]
        return maker.add("Transpose", [source], perm=order)
    if choice == 2:
        size = maker.add("Shape", [source])
        rest = maker.constant(np.array([shape[1], -1], np.int64))
        first = maker.add("Gather", [size[0], maker.constant(np.array([0], np.int64))])
        return maker.add("Reshape", [source, *maker.add("Concat", [*first, rest], axis=0)])
    if choice == 3:
        target = rng.choice([[0, -1], [0, 0, -1], [0, shape[1] // 2, 2, -1], [-1, shape[1]]])
        return maker.add("Reshape", [source, maker.constant(np.array(target, np.int64))])
    axis = rng.randint(1, len(shape))
    if choice == 4:
        if maker.opset >= 13:
            return maker.add("Unsqueeze", [source, maker.constant(np.array([axis], np.int64))])
        return maker.add("Unsqueeze", [source], axes=[axis])
    gone = [i for i, size in enumerate(shape) if size == 1 and i > 0]
    if maker.opset >= 13:
        return maker.add("Squeeze", [source, maker.constant(np.array(gone[:1], np.int64))])
    return maker.add("Squeeze", [source], axes=gone[:1])


def splitting(maker: Maker, source: str) -> list[str]:
    channels = maker.values[source].shape[1]
    one = maker.rng.randint(1, channels - 1)
    sizes = [one, channels - one]
    if maker.opset >= 13:
        inputs = [source, maker.constant(np.array(sizes, np.int64))]
        return maker.add("Split", inputs, 2, axis=1)
    return maker.add("Split", [source], 2, axis=1, split=sizes)


def split_block(maker: Maker, source: str) -> list[str]:
    """A value split by channels, each part scaled or convolved, and joined or summed again."""
    parts, results = splitting(maker, source), []
    channels = maker.values[source].shape[1]
    sizes = [maker_split(maker, parts), channels - maker_split(maker, parts)]
    rank = maker.values[source].ndim - 2
    for part, size in zip(parts, sizes, strict=True):
        weight = maker.draw(4, size, *([1] * rank))
        results += maker.add("Conv", [part, maker.constant(weight)])
    kind = maker.rng.choice(["Add", "Concat"])
    settings: dict[str, Any] = {"axis": 1} if kind == "Concat" else {}
    return maker.add(kind, results, **settings)


def maker_split(maker: Maker, parts: list[str]) -> int:
    """The size of the first part of the last split."""
    node = next(node for node in reversed(maker.nodes) if node.output[0] == parts[0])
    if node.attribute and any(a.name == "split" for a in node.attribute):
        return int(next(a.ints[0] for a in node.attribute if a.name == "split"))
    name = node.input[1]
    tensor = next((w for w in maker.weights if w.name == name), None)
    if tensor is None:
        made = next(node for node in maker.nodes if name in node.output)
        tensor = made.attribute[0].t
    return int(numpy_helper.to_array(tensor)[0])


def resizing(maker: Maker, source: str) -> list[str]:
    rank = maker.values[source].ndim - 2
    scales = maker.constant(np.array([1, 1, *([2] * rank)], np.float32))
    return maker.add("Resize", [source, "", scales], mode=maker.rng.choice(["nearest", "linear"]))


def product(maker: Maker, source: str) -> list[str]:
    """A matrix product over the last axis, its bias beside it at times."""
    rng, shape = maker.rng, maker.values[source].shape
    wide = rng.choice([2, 4, shape[-1]])
    names = maker.add("MatMul", [source, maker.constant(maker.draw(shape[-1], wide))])
    if rng.random() < 0.7:
        names = maker.add("Add", [*names, maker.constant(maker.draw(wide))])
    return names


def gemm(maker: Maker, source: str) -> list[str]:
    rng, shape = maker.rng, maker.values[source].shape
    wide, across = rng.choice([2, 4, shape[-1]]), rng.randint(0, 1)
    weight = maker.draw(wide, shape[-1]) if across else maker.draw(shape[-1], wide)
    inputs = [source, maker.constant(weight)]
    if rng.random() < 0.6:
        inputs.append(maker.constant(maker.draw(*rng.choice([(wide,), (1, wide), (1,)]))))
    scales: dict[str, Any] = {"alpha": 0.5, "beta": 2.0} if rng.random() < 0.3 else {}
    return maker.add("Gemm", inputs, transB=across, **scales)


def flat_norm(maker: Maker, source: str) -> list[str]:
    return norm(maker, source)


def choice_of_graphs(maker: Maker, source: str) -> list[str]:
    """An If whose branches read a value from outside."""
    shape = maker.values[source].shape
    condition = maker.constant(np.array(maker.rng.random() < 0.5))
    branches = []
    for _ in range(2):
        outer, maker.nodes = maker.nodes, []
        inner = block(maker, source) if len(shape) > 2 else arithmetic(maker, source)
        results = [helper.make_tensor_value_info(inner[0], TensorProto.FLOAT, [None] * len(shape))]
        branches.append(helper.make_graph(maker.nodes, maker.name("branch"), [], results))
        maker.nodes = outer
    return maker.add("If", [condition], then_branch=branches[0], else_branch=branches[1])


Step = Callable[[Maker, str], list[str]]
STEPS: list[Step] = [
    *([convolution] * 3), *([branch] * 3), *([block] * 4), transposed, norm, norm,
    arithmetic, arithmetic, *([binary] * 4), pooling, pooling, padding, padding, simple, simple,
    averaging, reshaping, reshaping, splitting, split_block, resizing, product, choice_of_graphs,
]  # fmt: skip
FLAT_STEPS: list[Step] = [
    gemm, gemm, product, flat_norm, arithmetic, arithmetic, binary, simple, reshaping,
    choice_of_graphs,
]  # fmt: skip


def run(model: Any, inputs: dict[str, Array]) -> list[Array]:
    """The outputs of a model in ONNX Runtime without its optimisations."""
    results: list[Array] = open_session(model.SerializeToString(), optimise=False).run(None, inputs)
    return results


def random_graph(seed: int) -> tuple[Any, list[dict[str, Array]]]:
    """A checked model, and inputs of the size that it was made for and of another one."""
    maker = Maker(seed)
    for _ in range(maker.rng.randint(3, 14)):
        maker.grow()
    names = [list(maker.values)[-1]]
    if maker.rng.random() < 0.3:
        names = list(dict.fromkeys([maker.rng.choice(list(maker.values)), *names]))
    names = [name for name in names if name != "x"] or maker.add("Identity", ["x"])
    if maker.rng.random() < 0.8:
        maker.forget_unread(names)
    model = maker.model(names)
    onnx.checker.check_model(model, full_check=False)
    larger = [s + 2 if moves else s for s, moves in zip(maker.shape, maker.dynamic, strict=True)]
    return model, [{"x": maker.draw(*maker.shape)}, {"x": maker.draw(*larger)}]


def difference(one: list[Array], two: list[Array]) -> float:
    """Largest relative error; values that cancel to zero are measured against 0.1."""
    worst = 0.0
    for a, b in zip(one, two, strict=True):
        if a.shape != b.shape:
            return float("inf")
        gap = np.linalg.norm(a.astype(float) - b) / max(float(np.linalg.norm(b.astype(float))), 0.1)
        worst = max(worst, float(gap))
    return worst


def problems_of(model: Any, inputs: list[dict[str, Array]]) -> tuple[Counter[str], list[str]]:
    """Rewrites by rule, and what is wrong with the folded model."""
    before = model.SerializeToString(deterministic=True)
    found = fold_onnx(model, verify=False, repeats=0)
    problems = []
    if model.SerializeToString(deterministic=True) != before:
        problems.append("the source was changed")
    onnx.checker.check_model(found.model, full_check=False)
    for example in inputs:
        try:
            expected = run(model, example)
        except Exception:  # the source itself does not run on this size
            continue
        error = difference(run(found.model, example), expected)
        near = {name: value * np.float32(1 + 1e-6) for name, value in example.items()}
        noise = difference(run(model, near), expected)  # what rounding does to the graph itself
        if not error < max(2e-4, 20 * noise):
            problems.append(f"relative error {error:.1e} at {example['x'].shape}")
    again = fold_onnx(found.model, verify=False, repeats=0).report.folded
    if again:
        problems.append(f"folding again did {again[0]}")
    for name in ("macs", "nodes"):
        one, two = getattr(found.report.before, name), getattr(found.report.after, name)
        if one is not None and two is not None and two > one:
            problems.append(f"{name} rose from {one} to {two}")
    same = [[v.name for v in m.graph.input if v.name == "x"] + [v.name for v in m.graph.output]
            for m in (model, found.model)]  # fmt: skip
    if same[0] != same[1] or model.ir_version != found.model.ir_version:
        problems.append("names or the IR version changed")
    return Counter(rewrite.rule for rewrite in found.report.folded), problems


def graphs(options: argparse.Namespace) -> None:
    """Random ONNX graphs, folded."""
    start, rules, failures, touched = time.time(), Counter[str](), 0, 0
    for seed in range(options.first, options.first + options.count):
        try:
            model, inputs = random_graph(seed)
        except onnx.checker.ValidationError:
            continue
        try:
            found, problems = problems_of(model, inputs)
        except Exception:
            found, problems = Counter[str](), [traceback.format_exc(limit=-3)]
        rules.update(found)
        touched += bool(found)
        if problems:
            failures += 1
            print(f"seed {seed}: {'; '.join(problems)}", flush=True)
    with ledger.Report(options) as report:
        report.table(
            "Random ONNX graphs, folded",
            "graphs",
            "with something to fold",
            "rewrites",
            ("wrong results or crashes", "", "lower"),
            "s",
        ).row(options.count, touched, rules.total(), failures, f"{time.time() - start:.0f}")
    print(dict(rules))
    sys.exit(failures > 0)


def exported_model(network: Any, x: torch.Tensor, *, dynamo: bool) -> Any:
    """``network`` as an ``onnx.ModelProto`` by one of torch's exporters."""
    target: Any = io.BytesIO()
    silence = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(silence),  # the exporters print what they refuse
        contextlib.redirect_stderr(silence),
    ):
        warnings.simplefilter("ignore")
        if dynamo:
            program = torch.onnx.export(network, (x,), dynamo=True, optimize=False, verbose=False)
            assert program is not None
            return program.model_proto
        torch.onnx.export(
            network, (x,), target, dynamo=False, do_constant_folding=False, opset_version=17
        )
    return onnx.load_model_from_string(target.getvalue())


def layers(model: Any) -> int:
    """Convolutions and matrix products of an ONNX model."""
    heavy = ("Conv", "ConvTranspose", "Gemm", "MatMul")
    return sum(node.op_type in heavy for node in all_nodes(model.graph))


def exported(options: argparse.Namespace) -> None:
    """Random torch networks, exported by both exporters and folded as ONNX and in torch."""
    rows = {name: Counter[str]() for name in ("TorchScript", "torch.export")}
    for seed in range(options.first, options.first + options.count):
        network, x = random_network(seed)
        network, x = network.float().eval(), x.float()
        folded, _ = fold_with_report(network, x, verify=False, repeats=0)
        try:
            target = layers(exported_model(folded.eval(), x, dynamo=False))
        except Exception:  # the exporter refuses the folded network
            target = None
        for name, count in rows.items():
            dynamo = name == "torch.export"
            if target is None or (dynamo and seed % options.every):
                continue
            try:
                model = exported_model(network, x, dynamo=dynamo)
                run(model, {model.graph.input[0].name: x.numpy()})
            except Exception:  # the exporter or ONNX Runtime refuses the network
                count["refused"] += 1
                continue
            count["networks"] += 1
            try:
                own = {model.graph.input[0].name: x.numpy()}
                found = fold_onnx(model, verify=False, repeats=0)
                error = difference(run(found.model, own), run(model, own))
                problem = "" if error < 2e-4 else f"relative error {error:.1e}"
            except Exception:
                problem = traceback.format_exc(limit=-3)
            if problem:
                count["wrong"] += 1
                print(f"seed {seed}, {name}: {problem}", flush=True)
                continue
            ours = layers(found.model)
            kind = "as many" if ours == target else "fewer" if ours < target else "more"
            count[kind] += 1
            if kind == "more":
                print(f"seed {seed}, {name}: {ours} left, in torch {target}", flush=True)
    with ledger.Report(options) as report:
        table = report.table(
            "Random torch networks, exported and folded as ONNX",
            "exporter",
            "networks",
            "refused by the exporter or ONNX Runtime",
            ("wrong results or crashes", "", "lower"),
            "as many layers left as in torch",
            "fewer",
            ("more", "", "lower"),
        )
        for name, count in rows.items():
            keys = ("networks", "refused", "wrong", "as many", "fewer", "more")
            table.row(name, *(count[key] for key in keys))
    sys.exit(any(count["wrong"] for count in rows.values()))


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    for command in ledger.commands(parser, {"graphs": graphs, "exported": exported}).values():
        command.add_argument("--count", type=int, default=2000)
        command.add_argument("--first", type=int, default=0)
        command.add_argument(
            "--every", type=int, default=1, help="networks for each one through torch.export"
        )
    options = ledger.parse(parser, words)
    options.run(options)


if __name__ == "__main__":
    main()
