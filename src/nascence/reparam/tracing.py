"""Graph of any module: symbolic tracing that steps around what cannot be traced."""

import inspect
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from nascence.reparam.channel_scale import ChannelScale


class Untraceable(ValueError):
    """The forward of the module itself cannot be traced; the message says why."""


class LinearTracer(fx.Tracer):
    """Symbolic tracer with extra leaf modules, that remembers which module failed."""

    def __init__(self, leaves: frozenset[str]) -> None:
        super().__init__()
        self.leaves = leaves
        self.stack: list[str] = []
        self.failed: str | None = None

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if isinstance(m, ChannelScale):
            return True
        return module_qualified_name in self.leaves or super().is_leaf_module(
            m, module_qualified_name
        )

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        self.stack.append(self.path_of_module(m))
        try:
            result = super().call_module(m, forward, args, kwargs)
        except Exception:
            if self.failed is None:
                self.failed = self.stack[-1]
            raise
        finally:
            self.stack.pop()
        return result


def trace_linear(
    model: nn.Module, inputs: tuple[Tensor, ...] | None, opaque: frozenset[str] = frozenset()
) -> tuple[fx.GraphModule, dict[str, str]]:
    """The graph of ``model`` and the submodules kept whole, each with the reason.

    Arguments of the forward beyond ``inputs`` take their default. Modules named in ``opaque``
    are kept whole. Raises Untraceable where the forward of ``model`` itself depends on values.
    """
    whole: dict[str, str] = {}
    concrete = default_arguments(model, inputs)
    while True:
        tracer = LinearTracer(opaque | frozenset(whole))
        try:
            graph = tracer.trace(model, concrete_args=concrete)
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            if tracer.failed is None or tracer.failed in whole:
                raise Untraceable(reason) from error
            whole[tracer.failed] = reason
            continue
        drop_shape_checks(graph)
        return fx.GraphModule(tracer.root, graph, type(model).__name__), whole


COMPARISONS = {operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge}


SHAPE_READS: set[Any] = {getattr, "size", "dim"}


def drop_shape_checks(graph: fx.Graph) -> None:
    """Erase assertions on shapes: they read values that folding removes, and compute nothing."""
    for check in [node for node in graph.nodes if node.target is torch._assert]:
        reads, pending = [], list(check.all_input_nodes)
        while pending:
            node = pending.pop()
            reads.append(node)
            if node.target in COMPARISONS:
                pending.extend(node.all_input_nodes)
        if all(node.target in COMPARISONS or node.target in SHAPE_READS for node in reads):
            graph.erase_node(check)
    for node in reversed(list(graph.nodes)):
        if (node.target in COMPARISONS or node.target in SHAPE_READS) and not node.users:
            graph.erase_node(node)


def default_arguments(model: nn.Module, inputs: tuple[Tensor, ...] | None) -> dict[str, Any]:
    """Defaults of the parameters of the forward that no example input fills."""
    parameters = list(inspect.signature(model.forward).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    given = 0 if inputs is None else len(inputs)
    return {p.name: p.default for p in positional[given:] if p.default is not p.empty}


def is_constant(node: fx.Node) -> bool:
    """Whether no input reaches the node."""
    return "constant" in node.meta


def mark_constants(module: fx.GraphModule) -> None:
    """Store in ``meta['constant']`` the value of every node that no input reaches."""
    values: dict[fx.Node, Any] = {}
    for node in module.graph.nodes:
        if node.op == "get_attr":
            value: Any = module
            for part in str(node.target).split("."):
                value = getattr(value, part)
            values[node] = value
        elif node.op == "call_function" and node.all_input_nodes:
            if all(parent in values for parent in node.all_input_nodes):
                values[node] = _evaluate(node, values)
        elif (
            node.op == "call_method"
            and not str(node.target).endswith("_")
            and all(parent in values for parent in node.all_input_nodes)
        ):
            values[node] = _evaluate(node, values)
        if node in values:
            node.meta["constant"] = values[node]


def _evaluate(node: fx.Node, values: dict[fx.Node, Any]) -> Any:
    args = fx.node.map_arg(node.args, lambda parent: values[parent])
    kwargs = fx.node.map_arg(node.kwargs, lambda parent: values[parent])
    with torch.no_grad():
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        return node.target(*args, **kwargs)


class ShapeRecorder(fx.Interpreter):
    """Runs a graph and stores the shape of every tensor in ``meta['shape']``."""

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            n.meta["shape"] = tuple(result.shape)
        return result


def record_shapes(module: fx.GraphModule, inputs: tuple[Tensor, ...]) -> None:
    """Run ``module`` once on ``inputs`` and note the shape of each node."""
    placeholders = [node for node in module.graph.nodes if node.op == "placeholder"]
    rest = [node.args[0] if node.args else None for node in placeholders[len(inputs) :]]
    with torch.no_grad():
        ShapeRecorder(module).run(*inputs, *rest)
