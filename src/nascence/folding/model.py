"""Folding of an ONNX model: read, rewritten, written, checked in ONNX Runtime, rolled back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nascence.folding.checking import OnnxTruth, session_of
from nascence.folding.constants import Constants
from nascence.folding.graph import DOMAINS, Context
from nascence.folding.partial import PartialShapes
from nascence.folding.reading import read_graph
from nascence.folding.writing import write_graph
from nascence.graph import Latency
from nascence.onnx_files import Value, cost_of_graph, infer_values, read_onnx
from nascence.onnx_files.costs import all_nodes, count_nodes
from nascence.onnx_files.inference import dynamic_sizes
from nascence.onnx_files.reading import copied_without, initializers, subgraphs
from nascence.onnx_files.running import Inputs, seconds_in_turns
from nascence.reparam.accounting import Cost, FoldReport, Refusal, Rewrite
from nascence.reparam.folding import first_failure
from nascence.reparam.rules import rewrite
from nascence.reparam.verification import first_line

OLDEST = 11
MOST_ROLLBACKS = 16
SMALL = 1024  # bytes of a constant that may tell a shape


class OnnxFold(NamedTuple):
    """Outcome of folding an ONNX model.

    Attributes:
        model: The folded ``onnx.ModelProto``.
        report: What was folded, what was left and why, and the cost before and after.
    """

    model: Any
    report: FoldReport


class Written(NamedTuple):
    """A model after at most so many rewrites, the rewrites, and what was left."""

    model: Any
    rewrites: tuple[Rewrite, ...]
    left: dict[str, str]


def fold_onnx(
    source: Any,
    *,
    inputs: Sequence[Inputs] = (),
    verify: bool = True,
    repeats: int = 10,
) -> OnnxFold:
    """Fold an ONNX model by the rules that fold modules; see :func:`nascence.fold`.

    Args:
        source: A file, or an ``onnx.ModelProto``, which is not changed.
        inputs: Inputs to check on, arrays by name; random ones of several sizes if none are given.
        verify: Whether to run both in ONNX Runtime, and to undo what fails.
        repeats: Timed runs of each, none with 0.

    Raises:
        DamagedFileError: The file cannot be read.
        ValueError: Given inputs do not fit.
    """
    model = read_onnx(Path(source)) if isinstance(source, str | Path) else source
    why = reason_to_leave(model)
    if why:
        cost = cost_of_model(model, {})
        return OnnxFold(
            model, FoldReport((), (), (f"{why}; it is returned as it was",), cost, cost)
        )
    notes: list[str] = []
    if model.functions:
        import onnx.inliner

        model = onnx.inliner.inline_local_functions(model)
        notes.append("its functions are written out, as runtimes do")
    truth = OnnxTruth(model, inputs) if verify or repeats else None
    checked = truth if verify else None
    sizes = {} if truth is None else truth.sizes
    if checked is not None:
        notes += checked.notes
    context = context_of(model, sizes)
    found, undone = folded_and_checked(model, context, checked)
    error = None if checked is None or not checked.runs else checked.error(found.model)
    if not found.rewrites:
        notes.append("nothing to fold")
    costs, timing = costs_in_turns(
        model, found.model, sizes, truth, repeats if found.rewrites else 0
    )
    report = FoldReport(
        found.rewrites,
        tuple(Refusal(where, why) for where, why in {**found.left, **undone}.items()),
        (*notes, *timing),
        *costs,
        error_in_dtype=error,
        original_in_dtype=None if checked is None else checked.native,
    )
    return OnnxFold(found.model, report)


def folded_and_checked(
    model: Any, context: Context, truth: OnnxTruth | None
) -> tuple[Written, dict[str, str]]:
    """The folded model, and the rewrites that were undone, each with the reason."""
    forbidden: frozenset[tuple[str, str]] = frozenset()
    undone: dict[str, str] = {}

    def build(limit: int | None) -> Written:
        return write_model(model, context, forbidden, limit)

    def holds(made: Any) -> bool:
        return truth.holds(made) if truth is not None and truth.runs else all_finite(made)

    for _ in range(MOST_ROLLBACKS):
        found = build(None)
        if count_nodes(found.model.graph) > count_nodes(model.graph):
            # a padding by zeros did not pay: nothing took it in
            forbidden |= {(r.rule, r.where) for r in found.rewrites if r.rule == "filled padding"}
            found = build(None)
        if not found.rewrites or holds(found.model):
            return found, undone
        bad = first_failure(lambda limit: holds(build(limit).model), len(found.rewrites))
        if bad == 0:
            break
        culprit = found.rewrites[bad - 1]
        undone[culprit.where] = f"{culprit.rule} undone: the check failed"
        forbidden |= {(culprit.rule, culprit.where)}
    undone["the network"] = "too many rewrites failed the check; it is returned as it was"
    return Written(model, (), build(0).left), undone


def write_model(
    model: Any, context: Context, forbidden: frozenset[tuple[str, str]], limit: int | None
) -> Written:
    """Read, rewrite and write ``model``; the model itself where nothing was rewritten."""
    taken = every_name(model.graph)
    with torch.no_grad():
        graph, rewrites, left = fold_graph(model.graph, context, None, forbidden, limit, taken)
    if not rewrites:
        return Written(model, (), left)
    result = copied_without(model, "graph")
    result.graph.CopyFrom(graph)
    return Written(result, tuple(rewrites), left)


def fold_graph(
    source: Any,
    context: Context,
    outer: Constants | None,
    forbidden: frozenset[tuple[str, str]],
    limit: int | None,
    taken: set[str],
) -> tuple[Any, list[Rewrite], dict[str, str]]:
    """A ``GraphProto`` folded, then the graphs inside its nodes, each by itself."""
    graph = read_graph(source, context, outer, forbidden, limit)
    rewrite(graph)
    result = write_graph(graph, taken)
    rewrites, left = graph.rewrites, graph.refusals
    for node in result.node:
        for inner in subgraphs(node):
            rest = None if limit is None else limit - len(rewrites)
            found = fold_graph(inner, context, graph.constants, forbidden, rest, taken)
            inner.CopyFrom(found[0])
            rewrites, left = [*rewrites, *found[1]], left | found[2]
    return result, rewrites, left


def every_name(graph: Any) -> set[str]:
    """Names of all values and nodes of a graph and of those inside it."""
    names = {value.name for value in (*graph.input, *graph.output)}
    names |= {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        names.update((node.name, *node.input, *node.output))
        for inner in subgraphs(node):
            names |= every_name(inner)
    return names


def context_of(model: Any, sizes: Mapping[str, int]) -> Context:
    """What holds for the whole of ``model``, its dynamic sizes assumed to be ``sizes``."""
    assumed = {name: 1 if name.endswith(":0") else 224 for name in dynamic_sizes(model)}
    assumed.update(sizes)
    fixed = model.ir_version < 4
    values, computed = values_and_constants(model, fixed)
    small = {name: value for name, value in computed.items() if value.nbytes <= SMALL}
    example = infer_values(model, assumed, small) if assumed else values
    return Context(opset_of(model), values, example, computed, fixed)


def values_and_constants(
    model: Any, fixed_weights: bool
) -> tuple[dict[str, Value], dict[str, np.ndarray[Any, Any]]]:
    """Types and shapes of all values, and what is constant, each of which makes the other known."""
    inputs = set() if fixed_weights else {value.name for value in model.graph.input}
    own = [name for node in model.graph.node for name in node.output]
    known: dict[str, np.ndarray[Any, Any]] = {}
    while True:
        values = infer_values(model, known=known)
        constants = Constants(own=own, before=known)
        constants.stored = {t.name: t for t in model.graph.initializer if t.name not in inputs}
        shapes = PartialShapes(constants, values)
        found = [node.op_type for node in model.graph.node if shapes.compute(node)]
        small = {n: value for n, value in constants.computed.items() if value.nbytes <= SMALL}
        if small.keys() <= known.keys() or set(found) <= {"Constant"}:
            return values, constants.computed
        known = small


def opset_of(model: Any) -> int:
    """The version of ONNX's own operators, 0 where there is none."""
    return next((int(each.version) for each in model.opset_import if each.domain in DOMAINS), 0)


def reason_to_leave(model: Any) -> str:
    """Why a model cannot be folded as a whole, empty if it can."""
    import onnx

    opset = opset_of(model)
    newest = onnx.defs.onnx_opset_version()
    if opset < OLDEST:
        return (
            f"it is of opset {opset} and folding takes {OLDEST} to {newest}: convert it with "
            "onnx.version_converter first"
        )
    if opset > newest:
        return f"it is of opset {opset} and the installed onnx {onnx.__version__} knows {newest}"
    kinds = {node.op_type for node in all_nodes(model.graph)}
    kinds |= {node.op_type for function in model.functions for node in function.node}
    quantised = sorted(kind for kind in kinds if any(part in kind for part in QUANTISED))
    if quantised or model.graph.quantization_annotation:
        return f"it is quantised already ({', '.join(quantised[:3]) or 'annotations'})"
    return ""


QUANTISED = ("Quantize", "QLinear", "Integer", "MatMulNBits", "QAttention", "QGemm")


def all_finite(model: Any) -> bool:
    """Whether every weight fits into its type."""
    import onnx

    for tensor in initializers(model.graph):
        if tensor.data_type in (10, 16, 1):
            found = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            if not bool(np.isfinite(found).all()):
                return False
    return True


def cost_of_model(model: Any, sizes: Mapping[str, int]) -> Cost:
    """Cost of a model whose dynamic sizes are ``sizes``."""
    found = cost_of_graph(model, infer_values(model, sizes))
    return Cost(
        found.parameters, found.macs, None, found.batch_norms, None, found.nodes, found.size
    )


def costs_in_turns(
    model: Any, folded: Any, sizes: Mapping[str, int], truth: OnnxTruth | None, repeats: int
) -> tuple[tuple[Cost, Cost], list[str]]:
    """The cost of both, with latencies measured in turns, and what could not be measured."""
    before, after = cost_of_model(model, sizes), cost_of_model(folded, sizes)
    if not repeats or truth is None or not truth.runs:
        return (before, after), []
    example = truth.inputs[0]
    try:
        new = session_of(folded)
        times = seconds_in_turns(
            [lambda: truth.session.run(None, example), lambda: new.run(None, example)],
            repeats=repeats,
        )
    except Exception as reason:  # ONNX Runtime has a dozen kinds of its own
        return (before, after), [f"latency not measured: {first_line(reason)}"]
    one, two = (Latency(float(np.median(taken)), min(taken)) for taken in times)
    return (before._replace(latency=one), after._replace(latency=two)), []
