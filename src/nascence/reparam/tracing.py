"""Graph of any module: symbolic tracing that steps around what cannot be traced."""

import inspect
import operator
from collections.abc import Callable
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, fx, nn

from nascence.reparam.channel_scale import ChannelScale


class Untraceable(ValueError):
    """The forward of the module itself cannot be traced; the message says why."""


class LinearTracer(fx.Tracer):
    """Symbolic tracer that keeps whole what it cannot trace, or what has hooks, and says why.

    Of the arguments of the forward, the first ``given`` are traced (those without a default where
    ``given`` is None); the others are fixed at their defaults.
    """

    def __init__(self, given: int | None) -> None:
        super().__init__()
        self.given = given
        self.whole: dict[str, str] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one node: a layer of torch's, or one with hooks."""
        if m._forward_hooks or m._forward_pre_hooks:
            if any(True for _ in m.children()):
                self.whole[module_qualified_name] = "it has hooks"
            return True
        return isinstance(m, ChannelScale) or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Trace a call of ``m``, or note it as one node where its forward cannot be traced."""
        last = next(reversed(self.graph.nodes), None)
        stack = self.module_stack.copy()
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception as error:  # whatever the forward raises when it meets a symbol
            path = self.path_of_module(m)
            self.module_stack = stack
            self.forget_after(last)
            self.whole = {k: v for k, v in self.whole.items() if not k.startswith(f"{path}.")}
            self.whole[path] = described(error)
            return self.create_proxy("call_module", path, args, kwargs)

    def forget_after(self, last: fx.Node | None) -> None:
        """Erase the nodes after ``last``, but for parameters, which the tracer remembers."""
        for node in list(takewhile(lambda node: node is not last, reversed(self.graph.nodes))):
            if node.op != "get_attr":
                self.graph.erase_node(node)

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Callable[..., Any], list[Any]]:
        """The forward and its symbols; arguments that are not given are fixed at their default."""
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        for parameter in inspect.signature(self.root.forward).parameters.values():
            name, default = parameter.name, parameter.default
            rest = 0 if self.given is None else self.given - len(positional)
            keyword = parameter.kind is parameter.KEYWORD_ONLY
            if parameter.kind is parameter.VAR_POSITIONAL:
                names = [f"{name}_{index}" for index in range(max(rest, 0))]
                positional += [self.create_proxy("placeholder", n, (), {}) for n in names]
            elif parameter.kind is parameter.VAR_KEYWORD:
                continue
            elif default is parameter.empty or (rest > 0 and not keyword):
                known = () if default is parameter.empty else (default,)
                proxy = self.create_proxy("placeholder", name, known, {})
                keywords.update({name: proxy}) if keyword else positional.append(proxy)
            else:
                self.fix_argument(name, default)
                keywords.update({name: default}) if keyword else positional.append(default)
        return lambda *args: self.root.forward(*args, **keywords), positional

    def fix_argument(self, name: str, default: Any) -> None:
        """Keep ``name`` as an argument of the traced forward that takes nothing but its default."""
        if isinstance(default, (bool, int, float, str)) or default is None:
            proxy = self.create_proxy("placeholder", name, (default,), {})
            check = self.create_proxy("call_function", require_default, (proxy, default, name), {})
            check.node.meta["is_wrapped"] = True


@fx.wrap
def require_default(value: Any, default: Any, name: str) -> None:
    """Raise ValueError unless an argument that was fixed has its default as its value."""
    if value is not default and (type(value) is not type(default) or value != default):
        raise ValueError(
            f"{name} is not {default!r}, the default for which the network was folded; "
            "call the network that it was folded from"
        )


def described(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def trace_linear(
    model: nn.Module, inputs: tuple[Tensor, ...] | None
) -> tuple[fx.GraphModule, dict[str, str]]:
    """The graph of ``model`` and the submodules kept whole, each with the reason.

    Only the number of ``inputs`` counts, not their shapes; further arguments of the forward take
    their default.

    Raises:
        Untraceable: If the forward of ``model`` itself depends on values.
    """
    tracer = LinearTracer(None if inputs is None else len(inputs))
    try:
        graph = tracer.trace(model)
    except Exception as error:  # whatever the forward raises when it meets a symbol
        raise Untraceable(described(error)) from error
    graph._tracer_cls = None  # a saved module is read with torch's own tracer
    drop_shape_checks(graph)
    return fx.GraphModule(tracer.root, graph, type(model).__name__), tracer.whole


SHAPE_READS: set[Any] = {getattr, "size", "dim"}
COMPARISONS = {operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge}


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


def is_constant(node: fx.Node) -> bool:
    """Whether no input reaches the node."""
    return "constant" in node.meta


def mark_constants(module: fx.GraphModule) -> None:
    """Note the value of every node that no input reaches, and whether gradients reach it.

    They are in ``meta['constant']`` and ``meta['trained']``.
    """
    for node in module.graph.nodes:
        inputs = node.all_input_nodes
        if node.op == "get_attr":
            value: Any = module
            for part in str(node.target).split("."):
                value = getattr(value, part)
            trained = isinstance(value, Tensor) and value.requires_grad
        elif node.op in ("call_function", "call_method") and is_computed_once(node):
            value = _evaluate(node)
            trained = any(parent.meta["trained"] for parent in inputs)
        else:
            continue
        node.meta.update(constant=value, trained=trained)


def is_computed_once(node: fx.Node) -> bool:
    """Whether ``node`` is a function of constants alone."""
    if not all(is_constant(parent) for parent in node.all_input_nodes):
        return False
    if node.op == "call_method":
        return not str(node.target).endswith("_")
    return bool(node.all_input_nodes)


def _evaluate(node: fx.Node) -> Any:
    args = fx.node.map_arg(node.args, lambda parent: parent.meta["constant"])
    kwargs = fx.node.map_arg(node.kwargs, lambda parent: parent.meta["constant"])
    with torch.no_grad():
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        return node.target(*args, **kwargs)


class ShapeRecorder(fx.Interpreter):
    """Runs a graph and stores the shape of every tensor in ``meta['shape']``."""

    def run_node(self, n: fx.Node) -> Any:
        """Run one node and note the shape of its value."""
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
