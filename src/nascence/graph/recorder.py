"""Records the operations of a forward pass without computing them.

Activations are tensors on the meta device: they have a shape and no values. A
``TorchFunctionMode`` sees every call, hands it to a rule, and the rule says which node the
result comes from. Parameters, and tensors computed from parameters alone, are followed until
they meet an activation; the operation where they meet owns them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nascence.graph.structure import GraphError

Lineage = tuple[int, ...]
Rule = Callable[["Recorder", Any, tuple[Any, ...], dict[str, Any]], Any]
Owned = tuple[int, str]  # parameter index and role

_empty = torch.empty
_meta = torch.device("meta")


@dataclass(slots=True)
class Record:
    """One operation, as it was recorded."""

    op: str
    sources: list[int]
    parameters: tuple[Owned, ...] = ()
    macs: int = 0


@dataclass(slots=True)
class Follow:
    """What is known of a tensor that is not an activation but comes from parameters."""

    parameters: tuple[int, ...]
    looked_up: bool = False
    transposed: bool = False


@dataclass
class Recorder(TorchFunctionMode):
    """The state of one trace.

    ``lineage`` maps a tensor's identity to the nodes that its values come from, ``follow`` maps
    tensors derived from parameters to those parameters. All tensors seen are kept alive, so that no
    identity is reused.
    """

    names: Sequence[str]
    values: Sequence[nn.Parameter]
    device: torch.device
    rule_of: Callable[[Any], Rule]
    max_nodes: int
    records: list[Record] = field(default_factory=list)
    lineage: dict[int, Lineage] = field(default_factory=dict)
    follow: dict[int, Follow] = field(default_factory=dict)
    attention: dict[int, int] = field(default_factory=dict)
    owner: dict[int, int] = field(default_factory=dict)
    cells: dict[int, Lineage] = field(default_factory=dict)
    reused: bool = False
    _rules: dict[Any, Rule] = field(default_factory=dict)
    _twins: dict[int, Tensor] = field(default_factory=dict)
    _alive: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        for index, value in enumerate(self.values):
            self.follow[id(value)] = Follow((index,))

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        rule = self._rules.get(func)
        if rule is None:
            rule = self._rules[func] = self.rule_of(func)
        return rule(self, func, args, kwargs or {})

    # Tensors

    def emit(self, shape: Sequence[int], dtype: torch.dtype, lineage: Lineage) -> Tensor:
        """A new activation of the given shape, coming from the nodes in ``lineage``."""
        out = _empty(shape, dtype=dtype, device=_meta)
        self._alive.append(out)
        self.lineage[id(out)] = lineage
        return out

    def sources(self, value: Any) -> Lineage:
        """Nodes that ``value`` comes from; empty for parameters and constants."""
        return self.lineage.get(id(value), ())

    def mark(self, out: Any, lineage: Lineage, follow: Follow | None) -> None:
        """Say where the tensors in ``out`` come from; lists and tuples are entered."""
        if isinstance(out, Tensor):
            self._alive.append(out)
            if lineage:
                self.lineage[id(out)] = lineage
            elif follow is not None:
                self.follow[id(out)] = follow
        elif isinstance(out, (tuple, list)):
            for item in out:
                self.mark(item, lineage, follow)

    def shapeless(self, value: Any) -> Any:
        """``value`` with its tensors on the meta device; lists, tuples, dicts are entered."""
        if isinstance(value, Tensor):
            if value.device.type == "meta":
                return value
            twin = self._twins.get(id(value))
            if twin is None:
                twin = _empty(value.shape, dtype=value.dtype, device=_meta)
                self._twins[id(value)] = twin
                self._alive.append((value, twin))
            return twin
        if isinstance(value, (tuple, list)):
            return type(value)([self.shapeless(item) for item in value]) if value else value
        if isinstance(value, dict):
            return {key: self.shapeless(item) for key, item in value.items()}
        return value

    # Nodes

    def node(
        self, op: str, sources: Iterable[int], parameters: Sequence[Owned] = (), macs: int = 0
    ) -> int:
        """Record an operation, or find the recorded one that owns the same parameters.

        Raises:
            GraphError: The network has more than ``max_nodes`` operations.
        """
        fresh = [item for item in parameters if item[0] not in self.owner]
        if parameters and not fresh:
            index = self.owner[parameters[0][0]]
            record = self.records[index]
            if record.op == op and {p for p, _ in record.parameters} == {p for p, _ in parameters}:
                self.reused = True
                record.sources.extend(s for s in sources if s not in record.sources)
                record.macs += macs
                return index
        index = len(self.records)
        if index >= self.max_nodes:
            raise GraphError(
                f"the network has more than {self.max_nodes} operations; "
                "pass max_nodes= to trace() to allow more"
            )
        self.records.append(Record(op, list(dict.fromkeys(sources)), tuple(fresh), macs))
        for parameter, _ in fresh:
            self.owner[parameter] = index
        return index

    def owned(self, value: Any, role: str) -> tuple[Owned, ...]:
        """The parameters that ``value`` is computed from; the largest has ``role``."""
        follow = self.follow.get(id(value))
        if follow is None:
            return ()
        if len(follow.parameters) == 1:
            return ((follow.parameters[0], role),)
        main = max(follow.parameters, key=lambda index: self.values[index].numel())
        return tuple((i, role if i == main else "scale") for i in follow.parameters)

    def activation(self, value: Any, role: str = "token") -> Lineage:
        """Nodes that ``value`` comes from; a bare parameter becomes a node without inputs."""
        lineage = self.lineage.get(id(value), ())
        if not lineage and id(value) in self.follow:
            lineage = (self.node("class_token", (), self.owned(value, role)),)
        return lineage

    def union(self, values: Iterable[Any]) -> Lineage:
        """All nodes that the activations among ``values`` come from, in order of appearance."""
        found: dict[int, None] = {}
        for value in values:
            for node in self.lineage.get(id(value), ()):
                found[node] = None
        return tuple(found)

    def followed(self, values: Iterable[Any]) -> Follow | None:
        """The parameters behind the tensors among ``values`` that are not activations."""
        rows = [self.follow[id(value)] for value in values if id(value) in self.follow]
        if not rows:
            return None
        if len(rows) == 1:
            return rows[0]
        indices = dict.fromkeys(index for row in rows for index in row.parameters)
        return Follow(
            tuple(indices),
            any(row.looked_up for row in rows),
            any(row.transposed for row in rows),
        )


def tensors_of(values: Iterable[Any]) -> list[Tensor]:
    """The tensors, of any shape, among ``values``; lists, tuples and dicts are entered."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found.extend(tensors_of(value))
        elif isinstance(value, dict):
            found.extend(tensors_of(value.values()))
    return found


_active: list[Recorder] = []


def is_tracing() -> bool:
    """Whether the code runs inside :func:`nascence.graph.trace`."""
    return bool(_active)


def loop(function: Callable[[Tensor], Tensor], state: Tensor) -> Tensor:
    """``function(state)``, recorded as one cell whose output, of the same shape, feeds it again.

    A fixed-point solver calls this in place of its iterations while :func:`is_tracing`, since
    a trace has no values to converge on. The graph then holds the cell once, with the pair
    (output node, node that read ``state``) among its ``loops``.
    """
    if not _active:
        return function(state)
    recorder = _active[-1]
    # a negative lineage marks what reads the state, until the output of the cell is known
    marker = -1 - len(recorder.cells)
    recorder.cells[marker] = ()
    lineage = (*recorder.activation(state), marker)
    out = function(recorder.emit(tuple(state.shape), state.dtype, lineage))
    produced = tuple(node for node in recorder.sources(out) if node >= 0)
    recorder.cells[marker] = produced
    recorder.lineage[id(out)] = produced
    return out
