"""An ONNX graph as a graph under rewriting: one node for each value that an input reaches."""

import operator
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from torch import fx

from nascence.folding.constants import Constants
from nascence.folding.partial import PartialShapes
from nascence.onnx_files import Value
from nascence.onnx_files.reading import subgraphs
from nascence.reparam.linear_graph import LinearGraph
from nascence.reparam.operators import Convolution

DOMAINS = ("", "ai.onnx")


def onnx_node(*inputs: Any) -> Any:
    """Stands for any node of an ONNX graph; never executed.

    Raises:
        RuntimeError: It was executed.
    """
    raise RuntimeError("an ONNX graph under rewriting was run")


class Context(NamedTuple):
    """What holds for a whole model.

    Attributes:
        opset: Version of ONNX's own operators.
        values: Types and shapes by name, proved from the inputs.
        example: The same where dynamic sizes are assumed, to count multiply-adds.
        computed: Constants that were computed to know the shapes.
        fixed_weights: Whether initializers that are also inputs are constant all the same.
    """

    opset: int
    values: dict[str, Value]
    example: dict[str, Value]
    computed: dict[str, np.ndarray[Any, Any]]
    fixed_weights: bool


class OnnxGraph(LinearGraph):
    """The graph of an ONNX model, or one inside its nodes.

    Beside what every :class:`LinearGraph` keeps in ``meta``, a node has ``name`` (the value that it
    computes), ``protos`` (the ONNX nodes that it stands for, in order), ``operands`` (the names of
    the values that they read, one for each of its arguments), ``kind`` (the operator) and ``value``
    (type and shape).
    """

    def __init__(
        self,
        source: Any,
        context: Context,
        outer: Constants | None = None,
        forbidden: frozenset[tuple[str, str]] = frozenset(),
        limit: int | None = None,
    ) -> None:
        super().__init__(fx.Graph(), forbidden, limit)
        self.source, self.context = source, context
        own = [value.name for value in source.input]
        own += [name for node in source.node for name in node.output]
        self.constants = Constants(outer, own, context.computed)
        self.shapes = PartialShapes(self.constants, context.values)
        self.values: dict[str, fx.Node] = {}
        self.overridable: set[str] = set()
        self._name_inputs()
        for proto in self._read_nodes():
            if not self._computed_once(proto):
                self._append(self._with_fixed_shape(proto))
        results = [self.value_named(value.name) for value in source.output]
        self.output = self.graph.output(tuple(results))
        for node in reversed(self.nodes):  # what only computed a shape that is constant now
            if not node.users and node.op not in ("placeholder", "output"):
                self.graph.erase_node(node)
                node.meta["erased"] = True

    def holds(self, convolution: Convolution) -> bool:
        """ONNX convolutions take any zero padding that does not crop."""
        if convolution.is_padded and convolution.mode != "zeros":
            return False
        return all(amount >= 0 for pair in convolution.padding for amount in pair)

    def _name_inputs(self) -> None:
        inputs = {value.name for value in self.source.input}
        for tensor in self.source.initializer:
            if tensor.name in inputs and not self.context.fixed_weights:
                self.overridable.add(tensor.name)
            else:
                self.constants.stored[tensor.name] = tensor
        for value in self.source.input:
            if value.name not in self.constants.stored:
                self._placeholder(value.name, "the input of the network")

    def _read_nodes(self) -> list[Any]:
        """The nodes that an output depends on, in order."""
        wanted = {value.name for value in self.source.output}
        found = []
        for proto in reversed(self.source.node):
            name = next((name for name in proto.output if name), "")
            dead = wanted.isdisjoint(proto.output)
            if dead and (
                proto.op_type == "Constant" or self.permit_named("dead", name, "never read")
            ):
                continue
            found.append(proto)
            wanted.update(proto.input)
            wanted.update(name for inner in subgraphs(proto) for name in free_names(inner))
        return found[::-1]

    def _placeholder(self, name: str, kind: str) -> fx.Node:
        first = next(iter(self.graph.nodes), None)
        with self.graph.inserting_before(first):
            node = self.graph.placeholder(f"value_{len(self.values)}")
        self._describe(node, name, kind)
        return node

    def _describe(self, node: fx.Node, name: str, kind: str) -> None:
        value = self.context.values.get(name, Value())
        node.meta.update(name=name, kind=kind, value=value, owner=name, trained=False)
        sizes = self.context.example.get(name, value).sizes
        if sizes is not None:
            node.meta["shape"] = sizes
        self.values[name] = node

    def value_named(self, name: str) -> fx.Node:
        """The node that computes ``name``; a constant or a value from outside becomes an input."""
        return self.values.get(name) or self._placeholder(name, "a value from outside")

    def _computed_once(self, proto: Any) -> bool:
        """Whether ``proto`` depends on constants alone and its value takes its place."""
        name = next((name for name in proto.output if name), "")
        if proto.op_type == "Constant":
            return self.constants.compute(proto, self.context.values)
        if not self.may("constant", name):
            return False
        done = self.shapes.compute(proto)
        return done and self.permit_named("constant", name, "computed once")

    def _with_fixed_shape(self, proto: Any) -> Any:
        """``proto``; where one size alone of a ``Reshape`` is unknown, its shape as a constant."""
        if proto.op_type != "Reshape" or proto.domain not in DOMAINS:
            return proto
        sizes = self.shapes.known.get(proto.input[1])
        if sizes is None or sizes.count(None) != 1 or not all(s is None or s > 0 for s in sizes):
            return proto
        if not self.permit_named("shape", proto.output[0], "a constant shape"):
            return proto
        name = f"{proto.output[0]}.shape"
        self.constants.computed[name] = np.array([-1 if s is None else s for s in sizes], np.int64)
        fixed = type(proto)()
        fixed.CopyFrom(proto)
        fixed.input[1] = name
        return fixed

    def _append(self, proto: Any) -> None:
        captured = [name for inner in subgraphs(proto) for name in free_names(inner)]
        read = [name for name in (*proto.input, *captured) if name and name not in self.constants]
        args = tuple(self.value_named(name) for name in read)
        if proto.op_type == "Split" and proto.domain in DOMAINS:
            for index, name in enumerate(proto.output):
                if name:
                    part = self.graph.call_function(onnx_node, args)
                    self._describe(part, name, proto.op_type)
                    part.meta.update(protos=[proto], operands=read, outputs=[name], index=index)
            return
        if proto.op_type == "Shape" and proto.domain in DOMAINS:
            node = self.graph.call_method("shape", args)
        else:
            node = self.graph.call_function(onnx_node, args)
        outputs = [name for name in proto.output if name]
        node.meta.update(protos=[proto], operands=read)
        self._describe(node, outputs[0] if outputs else "", proto.op_type)
        node.meta["outputs"] = list(proto.output)
        for name in outputs[1:]:
            part = self.graph.call_function(
                operator.getitem, (node, list(proto.output).index(name))
            )
            self._describe(part, name, proto.op_type)

    def linear_nodes(self) -> Iterable[fx.Node]:
        """Nodes that stand for one of ONNX's own operators and have one output.

        A BatchNormalization has several in training mode, which its reader refuses.
        """
        for node in self.nodes:
            protos = node.meta.get("protos")
            if not protos or protos[0].domain not in DOMAINS:
                continue
            if len(self.outputs_of(node)) == 1 or node.meta["kind"] == "BatchNormalization":
                yield node

    @staticmethod
    def outputs_of(node: fx.Node) -> list[str]:
        """Names of the values that a node computes."""
        return [name for name in node.meta["outputs"] if name]


def free_names(graph: Any) -> list[str]:
    """Values from outside that a subgraph reads, once each, in order."""
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {tensor.values.name for tensor in graph.sparse_initializer}
    own |= {name for node in graph.node for name in node.output}
    read = [name for node in graph.node for name in node.input]
    read += [value.name for value in graph.output]
    read += [name for node in graph.node for g in subgraphs(node) for name in free_names(g)]
    return [name for name in dict.fromkeys(read) if name and name not in own]
