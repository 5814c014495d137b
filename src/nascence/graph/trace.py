"""From a module to its graph, by running its forward pass on shapes alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.parameter import UninitializedParameter

from nascence.graph.ordering import assemble
from nascence.graph.recorder import Recorder, _active
from nascence.graph.rules import rule_of
from nascence.graph.structure import Graph, GraphError

MAX_NODES = 8000


def not_eager(model: nn.Module) -> str | None:
    """Why ``model`` cannot be read: it is a program of TorchScript or torch.export; else None."""
    nodes = model.graph.nodes if isinstance(model, fx.GraphModule) else ()
    exported = any(isinstance(node.target, torch._ops.OpOverload) for node in nodes)
    if not exported and not isinstance(model, torch.jit.ScriptModule):
        return None
    kind = "torch.export" if exported else "TorchScript"
    return f"a module of {kind} is not read; give the eager module that it was made from"


def trace(
    model: nn.Module, *inputs: Tensor, unused: str = "raise", max_nodes: int = MAX_NODES
) -> Graph:
    """Trace the graph of a network on inputs of these shapes; nothing is computed.

    Every parameter belongs to one node. The forward pass runs in evaluation mode, and once more in
    training mode if parameters were not met (auxiliary classifiers). The model is left as it was:
    modes, attributes, buffers, gradients, hooks and the random state.

    Args:
        model: The network.
        inputs: Tensors of the shapes and types that its forward pass takes, values aside.
        unused: What to do with parameters that take no part: "raise", or "keep", which lists them
            in ``Graph.unused``.
        max_nodes: Most operations that a graph may have.

    Raises:
        GraphError: A ``ValueError`` that names the module or parameter: parameters that do not
            reach an output, or are lazy, complex, integer or on two devices; control flow that
            depends on data; a missing argument; a forward pass that fails; too many operations.
    """
    if unused not in ("raise", "keep"):
        raise GraphError(f"unused is {unused!r}; it must be 'raise' or 'keep'")
    if why := not_eager(model):
        raise GraphError(why)
    for position, value in enumerate(inputs):
        if not isinstance(value, Tensor):
            raise GraphError(f"input {position} is a {type(value).__name__}; it must be a tensor")
    named = dict(model.named_parameters())
    device = _checked_device(named)
    with _as_found(model):
        model.eval()
        recorder, outputs = _record(model, inputs, named, device, max_nodes)
        graph, missing = assemble(recorder, outputs, len(inputs))
        if missing:
            model.train()
            again, outputs = _record(model, inputs, named, device, max_nodes)
            in_training, missing_in_training = assemble(again, outputs, len(inputs))
            if len(missing_in_training) < len(missing):
                graph, missing = in_training, missing_in_training
    if missing and unused == "raise":
        reasons = "; ".join(f"{name} ({why})" for name, why in list(missing.items())[:20])
        more = f"; and {len(missing) - 20} more" if len(missing) > 20 else ""
        raise GraphError(
            f"{len(missing)} of {len(named)} parameters belong to no node: {reasons}{more}. "
            "Remove them from the model, or pass unused='keep' to leave them out"
        )
    if missing:
        graph = Graph(graph.nodes, graph.edges, graph.outputs, graph.loops, tuple(missing))
    return graph


def _checked_device(named: dict[str, nn.Parameter]) -> torch.device:
    """The device of all parameters; raises where they are lazy, not real, or scattered."""
    device: torch.device | None = None
    first = ""
    for name, value in named.items():
        if isinstance(value, UninitializedParameter):
            raise GraphError(
                f"parameter {name} is lazy and has no shape yet; run the model once before tracing"
            )
        if not value.is_floating_point():
            raise GraphError(
                f"parameter {name} is {value.dtype}; only real floating-point ones are predicted"
            )
        if device is None:
            device, first = value.device, name
        elif value.device != device:
            raise GraphError(
                f"parameter {first} is on {device} but {name} is on {value.device}; "
                "move the model to one device"
            )
    return device or torch.device("cpu")


@contextmanager
def _as_found(model: nn.Module) -> Iterator[None]:
    """Restore modes, attributes, buffers, gradient flags and the random state afterwards."""
    modules = list(model.modules())
    state = [
        (m, m.__dict__.copy(), m._parameters.copy(), m._buffers.copy(), m._modules.copy())
        for m in modules
    ]
    # tensors made in inference mode cannot be written outside of it, nor counted
    buffers = [
        (value, value._version, value.detach().clone())
        for value in model.buffers()
        if not value.is_inference()
    ]
    random_state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(random_state)
        for module, attributes, *kept in state:
            # through the dictionary: nn.Module's own setters would register what they are given
            module.__dict__.clear()
            module.__dict__.update(attributes)
            tables: list[Any] = [module._parameters, module._buffers, module._modules]
            for table, before in zip(tables, kept, strict=True):
                table.clear()
                table.update(before)
        with torch.no_grad():
            for value, version, before in buffers:
                if value._version != version:
                    value.copy_(before)


def _record(
    model: nn.Module,
    inputs: tuple[Tensor, ...],
    named: dict[str, nn.Parameter],
    device: torch.device,
    max_nodes: int,
) -> tuple[Recorder, Any]:
    """Run the forward pass under a recorder."""
    recorder = Recorder(list(named), list(named.values()), device, rule_of, max_nodes)
    shadows = []
    for value in inputs:
        node = recorder.node("input", ())
        shadows.append(recorder.emit(tuple(value.shape), value.dtype, (node,)))
    _active.append(recorder)
    try:
        with torch.enable_grad(), recorder:
            outputs = model(*shadows)
    except Exception as error:
        raise _located(model, error, len(inputs)) from error
    finally:
        _active.pop()
    return recorder, outputs


def _located(model: nn.Module, error: Exception, count: int) -> GraphError:
    """The error with the name of the innermost module whose forward raised it."""
    names = {id(module): name for name, module in model.named_modules()}
    where = _innermost(error.__traceback__, names)
    label = f"module {where!r}" if where else "the model"
    label += f" ({type(dict(model.named_modules())[where]).__name__})"
    if isinstance(error, GraphError):
        return GraphError(f"{label}: {error}")
    if isinstance(error, TypeError) and "argument" in str(error) and "forward()" in str(error):
        return GraphError(
            f"{label} does not take {count} inputs: {error}; "
            "pass every input that forward() needs to trace()"
        )
    text = " ".join(str(error).split())[:300]
    return GraphError(f"{label}: forward failed: {type(error).__name__}: {text}")


def _innermost(trail: TracebackType | None, names: dict[int, str]) -> str:
    """Name of the last module whose method stands in the traceback."""
    found = ""
    while trail is not None:
        owner = trail.tb_frame.f_locals.get("self")
        if id(owner) in names:
            found = names[id(owner)]
        trail = trail.tb_next
    return found
