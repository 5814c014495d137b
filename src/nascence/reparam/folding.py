"""Folding of one module: as a graph where it can be traced, else child by child."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nascence.reparam.accounting import Refusal, Rewrite
from nascence.reparam.attributes import has_submodule, keep_attributes, restored, with_parts
from nascence.reparam.linear_graph import LinearGraph, TracedGraph
from nascence.reparam.materialise import materialise
from nascence.reparam.nesting import nest
from nascence.reparam.patterns import normalised_pairs
from nascence.reparam.rules import rewrite
from nascence.reparam.tracing import Untraceable, record_shapes, trace_linear
from nascence.reparam.verification import Inputs, Truth, widened

MOST_ROLLBACKS = 8
MOST_TRIALS = 32  # of parts in the model around them


@dataclass
class Outcome:
    """What was rewritten, left and noted; names start at the whole model."""

    rewrites: list[Rewrite] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: float | None = None
    error_in_dtype: float | None = None
    original_in_dtype: float | None = None

    def include(self, part: "Outcome") -> None:
        """Add the outcome of a part."""
        self.rewrites += part.rewrites
        self.refusals += part.refusals
        self.notes += part.notes
        self.error = max(self.error or 0.0, part.error or 0.0)


def prefixed(prefix: str, name: str) -> str:
    """A dotted name."""
    return f"{prefix}.{name}" if prefix else name


def fold_module(
    module: nn.Module,
    inputs: Inputs | None,
    truth: Truth | None,
    outcome: Outcome,
    prefix: str = "",
) -> nn.Module:
    """A folded module in the dtype of ``module``; ``module`` itself where nothing folds.

    With ``truth`` the rewrites that change what the module computes are undone.
    """
    if not any(True for _ in module.children()) and not list(module.parameters(recurse=False)):
        return module
    if truth is not None and not truth.wide:
        outcome.notes.append(f"{prefix or 'the model'} does not run in float64")
    try:
        folded, graph, whole = fold_graph(module, inputs, truth, outcome, prefix)
    except Untraceable as reason:
        name = prefix or "the forward of the model"
        outcome.notes.append(f"{name} cannot be traced and is folded part by part: {reason}")
        return fold_children(module, inputs, truth, outcome, prefix)
    for name, why in whole.items():
        outcome.notes.append(f"{prefixed(prefix, name)} is kept whole: {why}")
    outcome.rewrites += [r._replace(where=prefixed(prefix, r.where)) for r in graph.rewrites]
    outcome.refusals += [Refusal(prefixed(prefix, k), v) for k, v in graph.refusals.items()]
    parts = {n: module.get_submodule(n) for n in whole if has_submodule(folded, n)}
    # running the trace may have left values in what it kept whole
    clean = {n: copy.deepcopy(p) for n, p in parts.items() if any(True for _ in p.children())}
    folded = with_parts(folded, clean) if clean else folded
    found = fold_parts(module, parts, inputs, truth is not None, prefix)
    folded, put = put_parts(folded, found, truth, outcome, prefix)
    if not graph.rewrites and not put:
        return module
    keep_attributes(folded, module)
    return folded


Part = tuple[str, nn.Module, Outcome]


def put_parts(
    result: nn.Module, found: list[Part], truth: Truth | None, outcome: Outcome, prefix: str
) -> tuple[nn.Module, int]:
    """``result`` with every part that does not make it fail, and how many there are.

    All are tried at once, and in halves where that fails.
    """
    pending, trials, put = [found] if found else [], 0, 0
    while pending:
        some = pending.pop()
        changed = with_parts(result, {name: part for name, part, _ in some})
        trials += 1
        if truth is None or (trials <= MOST_TRIALS and truth.holds(changed)):
            result, put = changed, put + len(some)
            for _, _, own in some:
                outcome.include(own)
        elif len(some) > 1 and trials < MOST_TRIALS:
            pending += [some[len(some) // 2 :], some[: len(some) // 2]]
        else:
            why = "the model around it fails with its folded form"
            outcome.refusals += [Refusal(prefixed(prefix, name), why) for name, _, _ in some]
    return result, put


def fold_graph(
    module: nn.Module, inputs: Inputs | None, truth: Truth | None, outcome: Outcome, prefix: str
) -> tuple[nn.Module, LinearGraph, dict[str, str]]:
    """The rewritten graph of ``module``, with rewrites that fail the check left out.

    Raises:
        Untraceable: Too many rewrites failed the check.
    """
    forbidden: frozenset[tuple[str, str]] = frozenset()
    for _ in range(MOST_ROLLBACKS):
        folded, graph, whole = build(module, inputs, truth, forbidden)
        if truth is None or passes(folded, module, truth, outcome):
            return restored(folded, module, inputs), graph, whole

        def holds(limit: int, without: frozenset[tuple[str, str]] = forbidden) -> bool:
            folded, _, _ = build(module, inputs, truth, without, limit)
            return passes(folded, module, truth, None)

        bad = first_failure(holds, len(graph.rewrites))
        if bad == 0:
            raise Untraceable("its trace does not compute what it computes")
        culprit = graph.rewrites[bad - 1]
        outcome.refusals.append(
            Refusal(prefixed(prefix, culprit.where), f"{culprit.rule} undone: the check failed")
        )
        forbidden |= {(culprit.rule, culprit.where)}
    raise Untraceable("too many rewrites failed the check")


def build(
    module: nn.Module,
    inputs: Inputs | None,
    truth: Truth | None,
    forbidden: frozenset[tuple[str, str]],
    limit: int | None = None,
) -> tuple[nn.Module, LinearGraph, dict[str, str]]:
    """Trace, rewrite and write out a copy, in float64 where the model runs in it.

    Raises:
        Untraceable: The trace does not run.
    """
    wide = truth is None or truth.wide
    work = copy.deepcopy(module).double() if wide else copy.deepcopy(module)
    traced, whole = trace_linear(work, inputs)
    traced.eval()
    if inputs is not None:
        example = widened(inputs) if wide else inputs
        try:
            record_shapes(traced, tuple(x.clone() for x in example))
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise Untraceable(f"its trace does not run: {str(error)[:100]}") from error
    graph = TracedGraph(traced, forbidden, limit)
    rewrite(graph)
    return nest(materialise(graph), module).eval(), graph, whole


def passes(folded: nn.Module, module: nn.Module, truth: Truth, outcome: Outcome | None) -> bool:
    """Whether ``folded`` computes the truth and its weights fit into the dtype of ``module``."""
    candidate = folded if truth.wide else restored(folded, module, truth.given[0])
    error = truth.error(candidate)
    if not error <= truth.tolerance:
        return False
    if outcome is not None and truth.wide:
        outcome.error = max(error, outcome.error or 0.0)
    kinds = {value.dtype for value in module.parameters() if value.is_floating_point()}
    if torch.float16 not in kinds:
        return True
    largest = torch.finfo(torch.float16).max
    return all(bool((value.abs() <= largest).all()) for value in folded.parameters())


def first_failure(holds: Callable[[int], bool], count: int) -> int:
    """The least number of rewrites that fail the check, ``count`` failing, by bisection."""
    good, bad = -1, count
    while bad - good > 1:
        middle = (good + bad) // 2
        if holds(middle):
            good = middle
        else:
            bad = middle
    return bad


def fold_children(
    module: nn.Module, inputs: Inputs | None, truth: Truth | None, outcome: Outcome, prefix: str
) -> nn.Module:
    """A copy of ``module`` with each child folded by itself, and pairs known from its source."""
    before = len(outcome.rewrites)
    containers = (nn.ModuleList, nn.ModuleDict)
    parts: dict[str, nn.Module] = {}
    pending = list(module.named_children())
    for name, child in pending:
        if isinstance(child, containers):
            pending += [(f"{name}.{below}", part) for below, part in child.named_children()]
        else:
            parts[name] = child
    found = fold_parts(module, parts, inputs, truth is not None, prefix)
    result, _ = put_parts(module, found, truth, outcome, prefix)
    if pairs := normalised_pairs(module):
        result = copy.deepcopy(module) if result is module else result
        fold_pairs(result, pairs, outcome, prefix)
    return result if len(outcome.rewrites) > before else module


def fold_parts(
    module: nn.Module,
    parts: dict[str, nn.Module],
    inputs: Inputs | None,
    verify: bool,
    prefix: str,
) -> list[Part]:
    """Each part that folded: its name, what it became, and its own outcome.

    The inputs of a part are those that ``module`` gives it first.
    """
    composite = {n: p for n, p in parts.items() if any(True for _ in p.children())}
    seen = recorded_inputs(module, list(composite), inputs) if composite else {}
    found: list[Part] = []
    done: set[int] = set()
    for name, part in composite.items():
        if id(part) in done:
            continue
        done.add(id(part))
        example, own = seen.get(name), Outcome()
        truth = Truth(part, example) if verify and example is not None else None
        result = fold_module(part, example, truth, own, prefixed(prefix, name))
        if result is not part:
            found.append((name, result, own))
    return found


def recorded_inputs(
    module: nn.Module, names: list[str], inputs: Inputs | None
) -> dict[str, Inputs]:
    """The tensors with which ``module`` first calls each submodule on ``inputs``."""
    seen: dict[str, Inputs] = {}
    if inputs is None:
        return seen
    runner = copy.deepcopy(module)
    for name in names:
        record_calls(runner.get_submodule(name), name, seen)
    with torch.no_grad():
        runner(*(x.clone() for x in inputs))
    return seen


def record_calls(layer: nn.Module, name: str, seen: dict[str, Inputs]) -> None:
    """Let ``layer`` note the tensors of its first call in ``seen``."""
    forward = layer.forward

    def record(*args: Any, **kwargs: Any) -> Any:
        if name not in seen and all(isinstance(value, Tensor) for value in args):
            seen[name] = tuple(value.detach().clone() for value in args)
        return forward(*args, **kwargs)

    layer.forward = record


def fold_pairs(
    module: nn.Module, pairs: list[tuple[str, str]], outcome: Outcome, prefix: str
) -> None:
    """Fold the BatchNorms of ``module`` that its source shows right after a convolution."""
    for name, norm in pairs:
        one, two = getattr(module, name, None), getattr(module, norm, None)
        if not isinstance(one, nn.Module) or not isinstance(two, nn.modules.batchnorm._BatchNorm):
            continue
        pair = nn.Sequential(one, two).eval()
        folded, graph, _ = build(pair, None, None, frozenset())
        if not graph.rewrites:
            continue
        layer = restored(folded, pair, None).get_submodule("0")
        setattr(module, name, layer)
        setattr(module, norm, nn.Identity())
        where = prefixed(prefix, norm)
        outcome.rewrites.append(Rewrite("pattern", where, f"into {prefixed(prefix, name)}"))
