"""Folding of one module: as a graph where it can be traced, else child by child."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nascence.reparam.accounting import Refusal, Rewrite
from nascence.reparam.linear_graph import LinearGraph
from nascence.reparam.materialise import materialise
from nascence.reparam.patterns import normalised_pairs
from nascence.reparam.rules import rewrite
from nascence.reparam.tracing import Untraceable, record_shapes, trace_linear
from nascence.reparam.verification import Inputs, Truth, widened

MOST_ROLLBACKS = 8


@dataclass
class Outcome:
    """What was rewritten, left and noted; names start at the whole model."""

    rewrites: list[Rewrite] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: float | None = None
    error_in_dtype: float | None = None
    original_in_dtype: float | None = None


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
    for name, part in parts.items():
        if any(True for _ in part.children()):  # running the trace may have left values in it
            set_submodule(folded, name, copy.deepcopy(part))
    put = put_parts(folded, module, parts, inputs, truth, outcome, prefix)
    if not graph.rewrites and not put:
        return module
    keep_attributes(folded, module)
    return folded


def put_parts(
    result: nn.Module,
    module: nn.Module,
    parts: dict[str, nn.Module],
    inputs: Inputs | None,
    truth: Truth | None,
    outcome: Outcome,
    prefix: str,
) -> int:
    """Fold each part and put it into ``result``, unless ``result`` then fails; returns how many."""
    count = 0
    for name, part, own in fold_parts(module, parts, inputs, truth is not None, prefix):
        replaced = result.get_submodule(name)
        set_submodule(result, name, part)
        if truth is not None and not truth.holds(result):
            set_submodule(result, name, replaced)
            path = prefixed(prefix, name)
            outcome.refusals.append(Refusal(path, "the model around it fails with its folded form"))
            continue
        outcome.rewrites += own.rewrites
        outcome.refusals += own.refusals
        outcome.notes += own.notes
        outcome.error = max(outcome.error or 0.0, own.error or 0.0)
        count += 1
    return count


def keep_attributes(folded: nn.Module, module: nn.Module) -> None:
    """Give ``folded`` the plain attributes of ``module``, which code around it may read."""
    for name, value in vars(module).items():
        if not name.startswith("_") and not hasattr(folded, name):
            setattr(folded, name, value)


def fold_graph(
    module: nn.Module, inputs: Inputs | None, truth: Truth | None, outcome: Outcome, prefix: str
) -> tuple[nn.Module, LinearGraph, dict[str, str]]:
    """The rewritten graph of ``module``, with rewrites that fail the check left out."""
    forbidden: frozenset[tuple[str, str]] = frozenset()
    for _ in range(MOST_ROLLBACKS):
        folded, graph, whole = build(module, inputs, truth, forbidden)
        if truth is None or passes(folded, module, truth, outcome):
            return restored_dtype(folded, module, inputs), graph, whole
        culprit = first_failure(module, inputs, truth, forbidden, len(graph.rewrites))
        if culprit is None:
            raise Untraceable("its trace does not compute what it computes")
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
    """Trace, rewrite and write out a copy, in float64 where the model runs in it."""
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
    graph = LinearGraph(traced, forbidden, limit)
    rewrite(graph)
    return materialise(graph).eval(), graph, whole


def passes(folded: nn.Module, module: nn.Module, truth: Truth, outcome: Outcome | None) -> bool:
    """Whether ``folded`` computes the truth and its weights fit into the dtype of ``module``."""
    candidate = folded if truth.wide else restored_dtype(folded, module, truth.given[0])
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


def first_failure(
    module: nn.Module,
    inputs: Inputs | None,
    truth: Truth,
    forbidden: frozenset[tuple[str, str]],
    count: int,
) -> Rewrite | None:
    """The rewrite after which the check fails, by bisection; None if the trace alone fails."""
    good, bad, culprit = -1, count, None
    while bad - good > 1:
        middle = (good + bad) // 2
        folded, graph, _ = build(module, inputs, truth, forbidden, middle)
        if passes(folded, module, truth, None):
            good = middle
        else:
            bad = middle
    if bad > 0:
        _, graph, _ = build(module, inputs, truth, forbidden, bad)
        culprit = graph.rewrites[bad - 1]
    return culprit


def restored_dtype(folded: nn.Module, module: nn.Module, inputs: Inputs | None) -> nn.Module:
    """A copy of ``folded``, each value in the dtype that it or its layer has in ``module``."""
    result = copy.deepcopy(folded)
    named = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers())
    kinds = {name: value.dtype for name, value in named.items() if value.is_floating_point()}
    given = [x.dtype for x in inputs or () if x.is_floating_point()]
    usual = next(iter([*kinds.values(), *given]), torch.get_default_dtype())
    for name, value in (*result.named_parameters(), *result.named_buffers()):
        if value.is_floating_point():
            sibling = f"{name.rpartition('.')[0]}.weight"
            value.data = value.data.to(kinds.get(name, kinds.get(sibling, usual)))
        if name in named and isinstance(value, nn.Parameter):
            value.requires_grad_(named[name].requires_grad)
    return result


def fold_children(
    module: nn.Module, inputs: Inputs | None, truth: Truth | None, outcome: Outcome, prefix: str
) -> nn.Module:
    """A copy of ``module`` with each child folded by itself, and pairs known from its source."""
    result = copy.deepcopy(module)
    before = len(outcome.rewrites)
    containers = (nn.ModuleList, nn.ModuleDict)
    parts = {}
    for name, child in module.named_modules():
        owner = name.rpartition(".")[0]
        inside = not owner or isinstance(module.get_submodule(owner), containers)
        reached = all(
            isinstance(module.get_submodule(name[:i]), containers)
            for i, letter in enumerate(name)
            if letter == "."
        )
        if name and inside and reached and not isinstance(child, containers):
            parts[name] = child
    put_parts(result, module, parts, inputs, truth, outcome, prefix)
    fold_pairs(result, outcome, prefix)
    return result if len(outcome.rewrites) > before else module


def fold_parts(
    module: nn.Module,
    parts: dict[str, nn.Module],
    inputs: Inputs | None,
    verify: bool,
    prefix: str,
) -> Iterator[tuple[str, nn.Module, Outcome]]:
    """Each part that folded: its name, what it became, and its own outcome.

    The inputs of a part are those that ``module`` gives it first.
    """
    composite = {n: p for n, p in parts.items() if any(True for _ in p.children())}
    if not composite:
        return
    seen = recorded_inputs(module, list(composite), inputs)
    done: dict[int, tuple[nn.Module, Outcome]] = {}
    for name, part in composite.items():
        if id(part) not in done:
            example, own = seen.get(name), Outcome()
            truth = Truth(part, example) if verify and example is not None else None
            result = fold_module(part, example, truth, own, prefixed(prefix, name))
            done[id(part)] = result, own
        if done[id(part)][0] is not part:
            yield name, *done[id(part)]


def recorded_inputs(
    module: nn.Module, names: list[str], inputs: Inputs | None
) -> dict[str, Inputs]:
    """The tensors with which ``module`` first calls each submodule on ``inputs``."""
    seen: dict[str, Inputs] = {}
    if inputs is None:
        return seen
    runner = copy.deepcopy(module)
    for name in names:

        def record(layer: nn.Module, args: tuple[object, ...], name: str = name) -> None:
            if name not in seen and all(isinstance(value, Tensor) for value in args):
                seen[name] = tuple(v.detach().clone() for v in args if isinstance(v, Tensor))

        runner.get_submodule(name).register_forward_pre_hook(record)
    with torch.no_grad():
        runner(*(x.clone() for x in inputs))
    return seen


def fold_pairs(module: nn.Module, outcome: Outcome, prefix: str) -> None:
    """Fold the BatchNorms of ``module`` that its source shows right after a convolution."""
    for name, norm in normalised_pairs(module):
        one, two = getattr(module, name, None), getattr(module, norm, None)
        if not isinstance(one, nn.Module) or not isinstance(two, nn.modules.batchnorm._BatchNorm):
            continue
        pair = nn.Sequential(one, two).eval()
        folded, graph, _ = build(pair, None, None, frozenset())
        if not graph.rewrites:
            continue
        layer = restored_dtype(folded, pair, None).get_submodule("0")
        setattr(module, name, layer)
        setattr(module, norm, nn.Identity())
        where = prefixed(prefix, norm)
        outcome.rewrites.append(Rewrite("pattern", where, f"into {prefixed(prefix, name)}"))


def has_submodule(module: nn.Module, name: str) -> bool:
    """Whether there is a submodule of that dotted name."""
    try:
        module.get_submodule(name)
    except AttributeError:
        return False
    return True


def set_submodule(module: nn.Module, name: str, part: nn.Module) -> None:
    """Put ``part`` in place of the submodule of that dotted name."""
    owner, _, leaf = name.rpartition(".")
    parent = module.get_submodule(owner)
    if isinstance(parent, nn.ModuleList):
        parent[int(leaf)] = part
    else:
        setattr(parent, leaf, part)
