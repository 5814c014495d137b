"""A rewritten ONNX graph as a ``GraphProto`` again: new nodes where it changed."""

import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from nascence.folding.constants import rounded
from nascence.folding.graph import OnnxGraph, free_names
from nascence.onnx_files.reading import copied_without, subgraphs
from nascence.reparam.absorption import as_node
from nascence.reparam.operators import (
    ChannelAffine,
    Concatenation,
    Convolution,
    OpaqueConvolution,
    Sum,
    regroup,
)
from nascence.reparam.paddings import is_padding

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def write_graph(graph: OnnxGraph, taken: set[str]) -> Any:
    """The ``GraphProto`` of a rewritten graph.

    Args:
        graph: The graph; it is used up.
        taken: Names in use anywhere in the model, to which those of new values are added.
    """
    return Writer(graph, taken).result


class Writer:
    """Writes one graph into ``result``."""

    def __init__(self, graph: OnnxGraph, taken: set[str]) -> None:
        self.graph, self.taken = graph, taken
        self.result = copied_without(graph.source, "node", "initializer", "value_info")
        self.names: dict[fx.Node, str] = {}
        self.assigned: set[str] = set()
        self.split: set[int] = set()
        self.written: dict[tuple[int, tuple[int, ...], bytes], str] = {}
        self.wanted: dict[str, None] = {}  # initializers of the source that something still reads
        copies = self._name_values()
        for node in self._needed():
            self._write(node)
        for source, target in copies:
            self.add("Identity", [source], [target])
        self._keep_initializers()
        known = {name for node in self.result.node for name in node.output}
        values = [value for value in graph.source.value_info if value.name in known]
        self.result.value_info.extend(values)

    def _name_values(self) -> list[tuple[str, str]]:
        """Name every value; returns copies that give outputs their names."""
        copies = []
        wanted = [value.name for value in self.graph.source.output]
        for name, found in zip(wanted, self.graph.output.args[0], strict=True):
            node = as_node(found)
            if node not in self.names and (node.op != "placeholder" or node.meta["name"] == name):
                self.names[node] = name
                self.assigned.add(name)
            elif self._name_of(node) != name:
                copies.append((self._name_of(node), name))
        return copies

    def _name_of(self, node: fx.Node) -> str:
        if node not in self.names:
            name = node.meta.get("name") or self.free_name(f"{node.meta['owner']}_folded")
            self.names[node] = self.free_name(name) if name in self.assigned else name
            self.assigned.add(self.names[node])
        return self.names[node]

    def free_name(self, name: str) -> str:
        """``name``, or with a number where the model uses it already."""
        candidate, number = name, 1
        while candidate in self.taken:
            number += 1
            candidate = f"{name}_{number}"
        self.taken.add(candidate)
        return candidate

    def _needed(self) -> list[fx.Node]:
        """Nodes that an output depends on, in order."""
        needed: set[fx.Node] = set()
        pending = [self.graph.output]
        while pending:
            for value in pending.pop().all_input_nodes:
                if value not in needed:
                    needed.add(value)
                    pending.append(value)
        return [node for node in self.graph.nodes if node in needed and node.op != "placeholder"]

    def _write(self, node: fx.Node) -> None:
        if not node.meta.get("changed"):
            if "protos" in node.meta:  # one output of several is written with its node
                self._copy(node)
            return
        found = node.meta["operator"]
        inputs = [self._name_of(as_node(value)) for value in node.args]
        if isinstance(found, Sum):
            self._write_sum(node, found, inputs)
        elif isinstance(found, Concatenation):
            axis = -(found.rank + 1)
            self.add("Concat", inputs, [self._name_of(node)], node, axis=axis)
        elif isinstance(found, Convolution):
            self._write_convolution(node, found, inputs[0])
        elif isinstance(found, OpaqueConvolution):
            self._write_opaque(node, found, inputs[0])
        else:
            self._write_affine(node, found, inputs[0])

    def _copy(self, node: fx.Node) -> None:
        """The ONNX nodes that ``node`` stands for, reading what their inputs are called now."""
        if node.meta["protos"][0].op_type == "Split":
            if id(node.meta["protos"][0]) in self.split:
                return  # another part of it was written before
            self.split.add(id(node.meta["protos"][0]))
        operands = zip(node.meta["operands"], node.args, strict=True)
        renamed = {name: self._name_of(as_node(value)) for name, value in operands}
        for proto in node.meta["protos"]:
            copy = type(proto)()
            copy.CopyFrom(proto)
            rename(copy, renamed)
            self.result.node.append(copy)
            for name in [*copy.input, *(n for g in subgraphs(copy) for n in free_names(g))]:
                self.wanted[name] = None
        self._name_outputs(node, self.result.node[-1])

    def _name_outputs(self, node: fx.Node, proto: Any) -> None:
        """Let the last node of ``node`` compute values of the names that they have now."""
        parts = [node, *(user for user in node.users if user.target is operator.getitem)]
        if proto.op_type == "Split":
            found = [self.graph.values.get(name) for name in proto.output]
            parts = [part for part in found if part is not None and "erased" not in part.meta]
        names = {part.meta["name"]: self._name_of(part) for part in parts}
        for index, name in enumerate(proto.output):
            spare = self.free_name(name) if name in self.assigned else name
            proto.output[index] = names.get(name, spare)

    def add(
        self,
        kind: str,
        inputs: list[str],
        outputs: list[str],
        like: fx.Node | None = None,
        **attributes: Any,
    ) -> None:
        """Append a node; its name and documentation are those of the one that it replaces."""
        import onnx

        proto = onnx.helper.make_node(kind, inputs, outputs, **attributes)
        old = [p for p in like.meta.get("protos", ()) if p.op_type == kind] if like else []
        if old:
            proto.name, proto.doc_string = old[0].name, old[0].doc_string
            proto.metadata_props.extend(old[0].metadata_props)
        else:
            proto.name = self.free_name(outputs[0] + "_node")
        self.result.node.append(proto)

    def weight(self, node: fx.Node, part: str, value: Tensor) -> str:
        """The name of a new initializer of any shape; equal ones are written once."""
        kind = node.meta["value"].kind or 1
        return self.constant(f"{node.meta['owner']}.{part}", rounded(value, kind), kind)

    def constant(self, name: str, array: np.ndarray[Any, Any], kind: int) -> str:
        """The name of an initializer with the values and the shape of ``array``."""
        data = np.ascontiguousarray(array).tobytes()
        key = (kind, array.shape, data)
        if key not in self.written:
            self.written[key] = self.free_name(name)
            self.result.initializer.add(
                name=self.written[key], data_type=kind, dims=array.shape, raw_data=data
            )
        return self.written[key]

    def _write_sum(self, node: fx.Node, found: Sum, inputs: list[str]) -> None:
        terms = sorted(zip(found.signs, inputs, strict=True), key=lambda term: -term[0])
        sign, total = terms[0]
        if sign < 0:
            negative = self.free_name(f"{total}_negative")
            self.add("Neg", [total], [negative])
            total = negative
        for index, (sign, term) in enumerate(terms[1:], 2):
            last = index == len(terms)
            name = self._name_of(node) if last else self.free_name(f"{node.meta['owner']}_sum")
            self.add("Add" if sign > 0 else "Sub", [total, term], [name], node)
            total = name

    def _write_convolution(self, node: fx.Node, found: Convolution, source: str) -> None:
        if found.rank == 0:
            self._write_linear(node, regroup(found, 1), source)
            return
        padding = found.padding
        if not self.graph.holds(found) or is_padding(found):
            target = (
                self._name_of(node) if is_padding(found) else self.free_name(f"{source}_padded")
            )
            amounts = [low for low, _ in padding] + [high for _, high in padding]
            pads = np.array([0, 0, *amounts[: found.rank], 0, 0, *amounts[found.rank :]])
            pads_name = self.constant(f"{node.meta['owner']}.pads", pads.astype(np.int64), 7)
            self.add("Pad", [source, pads_name], [target], node, mode=MODES[found.mode])
            if is_padding(found):
                return
            source, padding = target, ((0, 0),) * found.rank
        weight, settings = found.weight, {}
        if found.transposed:
            weight = transposed(weight, found.groups)
            settings["output_padding"] = list(found.output_padding)
        self.add(
            "ConvTranspose" if found.transposed else "Conv",
            [source, *self._weights(node, weight, found.bias)],
            [self._name_of(node)],
            node,
            kernel_shape=list(found.kernel),
            strides=list(found.stride),
            dilations=list(found.dilation),
            group=found.groups,
            pads=[low for low, _ in padding] + [high for _, high in padding],
            **settings,
        )

    def _weights(self, node: fx.Node, weight: Tensor, bias: Tensor) -> list[str]:
        names = [self.weight(node, "weight", weight)]
        return [*names, self.weight(node, "bias", bias)] if bool((bias != 0).any()) else names

    def _write_linear(self, node: fx.Node, found: Convolution, source: str) -> None:
        """A linear layer: ``Gemm`` on a matrix, else ``MatMul`` and ``Add``."""
        biased = bool((found.bias != 0).any())
        dims = node.meta["value"].dims
        if dims is not None and len(dims) == 2:
            names = self._weights(node, found.weight, found.bias)
            self.add("Gemm", [source, *names], [self._name_of(node)], node, transB=1)
            return
        weight = self.weight(node, "weight", found.weight.T)
        target = self.free_name(f"{node.meta['owner']}_product") if biased else self._name_of(node)
        self.add("MatMul", [source, weight], [target], node)
        if biased:
            bias = self.weight(node, "bias", found.bias)
            self.add("Add", [target, bias], [self._name_of(node)], node)

    def _write_opaque(self, node: fx.Node, found: OpaqueConvolution, source: str) -> None:
        """The node as it was, with other weights."""
        copy = type(found.layer)()
        copy.CopyFrom(found.layer)
        weight = found.weight
        if copy.op_type == "ConvTranspose":
            groups = next((a.i for a in copy.attribute if a.name == "group"), 1)
            weight = transposed(weight, groups)
        del copy.input[:], copy.output[:]
        copy.input.extend([source, *self._weights(node, weight, found.bias)])
        copy.output.append(self._name_of(node))
        self.result.node.append(copy)

    def _write_affine(self, node: fx.Node, found: ChannelAffine, source: str) -> None:
        """One ``BatchNormalization``, or a product, a sum, or both."""
        dims = node.meta["value"].dims
        scales, shifts = bool((found.scale != 1).any()), bool((found.shift != 0).any())
        if scales and shifts and dims is not None and found.rank == len(dims) - 2:
            count = found.channels
            if count > 1:
                one = torch.ones(count, dtype=torch.float64)
                parts = {"scale": found.scale, "shift": found.shift, "mean": 0 * one, "var": one}
                full = {part: value.expand(count) for part, value in parts.items()}
                names = [self.weight(node, part, value) for part, value in full.items()]
                kind = "BatchNormalization"
                self.add(kind, [source, *names], [self._name_of(node)], node, epsilon=0.0)
                return
        shape = (-1, *([1] * (found.rank or 0))) if found.channels > 1 else ()
        steps = [("Mul", "scale", found.scale)] * scales + [("Add", "shift", found.shift)] * shifts
        for index, (kind, part, value) in enumerate(steps or [("Mul", "scale", found.scale)], 1):
            last = index >= len(steps)
            target = self._name_of(node) if last else self.free_name(f"{node.meta['owner']}_scaled")
            constant = self.weight(node, part, value.expand(found.channels).reshape(shape))
            self.add(kind, [source, constant], [target], node)
            source = target

    def _keep_initializers(self) -> None:
        """Copy what the nodes and outputs still read of the source's constants."""
        outputs = [value.name for value in self.graph.source.output]
        kept = [*self.wanted, *outputs]
        kept += [t.name for t in self.graph.source.initializer if t.name in self.graph.overridable]
        own = {tensor.name: tensor for tensor in self.graph.source.initializer}
        for name in dict.fromkeys(kept):
            tensor = own.get(name) or self.graph.constants.proto(name)
            if tensor is not None:
                self.result.initializer.append(tensor)
        if self.graph.context.fixed_weights:
            self._list_initializers()

    def _list_initializers(self) -> None:
        """Before IR version 4 every initializer is an input as well."""
        import onnx

        weights = {tensor.name: tensor for tensor in self.result.initializer}
        source = {tensor.name for tensor in self.graph.source.initializer}
        listed = {value.name for value in self.graph.source.input}
        if not source <= listed:
            return  # a graph inside a node has none
        kept = [v for v in self.result.input if v.name not in source or v.name in weights]
        new = [
            onnx.helper.make_tensor_value_info(name, tensor.data_type, tensor.dims)
            for name, tensor in weights.items()
            if name not in listed
        ]
        kept = [*(copied_without(value) for value in kept), *new]
        del self.result.input[:]
        self.result.input.extend(kept)


def transposed(weight: Tensor, groups: int) -> Tensor:
    """A kernel ``(out, in / groups, ...)`` as ``(in, out / groups, ...)``."""
    blocks = weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2)
    return blocks.reshape(-1, *blocks.shape[2:])


def rename(proto: Any, renamed: dict[str, str]) -> None:
    """Let a node, and the graphs inside it, read values by other names."""
    for index, name in enumerate(proto.input):
        if name in renamed:
            proto.input[index] = renamed[name]
    for inner in subgraphs(proto):
        own = set(free_names(inner))
        below = {old: new for old, new in renamed.items() if old in own}
        if not below:
            continue
        for node in inner.node:
            rename(node, below)
        for value in inner.output:
            value.name = below.get(value.name, value.name)
