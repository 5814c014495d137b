"""ONNX files read with their external data and checked, and written whole."""

from collections.abc import Container, Iterator
from math import prod
from pathlib import Path
from typing import Any

from nascence.core.files import DamagedFileError, understood, write_whole

LARGEST_FILE = 2**31 - 2**20  # bytes; Protobuf writes no message of 2 GB
SMALLEST_EXTERNAL = 1024  # bytes; smaller tensors stay in the file beside external data
ALIGNMENT = 4096  # bytes, so that a runtime can map a tensor into memory


def read_onnx(path: Path) -> Any:
    """The ``onnx.ModelProto`` of a file, its external data loaded, its structure checked.

    Raises:
        DamagedFileError: If it is no ONNX file, is cut short, lacks external data, or its graph
            defines a name twice or reads a value before it is computed.
        OSError: If it cannot be opened.
    """
    import onnx
    from google.protobuf.message import DecodeError

    with path.open("rb"):  # a missing file is said to be missing, not damaged
        pass
    try:
        model = onnx.load(str(path), load_external_data=False)
    except DecodeError as error:
        raise DamagedFileError(
            f"{path} is not an ONNX file, or is cut short; take another copy of it"
        ) from error
    if not model.graph.node and not model.graph.output:
        raise DamagedFileError(f"{path} holds no ONNX graph; take another copy of it")
    try:
        onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DamagedFileError(
            f"{path} keeps weights in other files, which cannot be read ({line}); "
            "put them beside it"
        ) from error
    with understood(path):
        for tensor in initializers(model.graph):
            check_size(tensor, path)
        check_graph(model.graph, set(), path)
    return model


def initializers(graph: Any) -> Iterator[Any]:
    """The initializers of a graph and of the graphs inside its nodes."""
    yield from graph.initializer
    for node in graph.node:
        for inner in subgraphs(node):
            yield from initializers(inner)


def subgraphs(node: Any) -> list[Any]:
    """The graphs among the attributes of a node, such as the branches of ``If``."""
    return [a.g for a in node.attribute if a.HasField("g")] + [
        inner for a in node.attribute for inner in a.graphs
    ]


def check_size(tensor: Any, path: Path) -> None:
    """Raise DamagedFileError unless a tensor has as many bytes as its shape and type need."""
    import onnx

    if not tensor.HasField("raw_data"):
        return
    try:
        width = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except KeyError:
        return
    packed = {"INT4", "UINT4", "FLOAT4E2M1", "INT2", "UINT2"}
    if onnx.TensorProto.DataType.Name(tensor.data_type) in packed:
        return
    if len(tensor.raw_data) != prod(tensor.dims) * width:
        raise DamagedFileError(
            f"{path}: the weight {tensor.name} of shape {list(tensor.dims)} has "
            f"{len(tensor.raw_data)} bytes instead of {prod(tensor.dims) * width}; "
            "take another copy of it"
        )


def check_graph(graph: Any, outer: Container[str], path: Path) -> None:
    """Raise DamagedFileError for names defined twice and values read before they are computed."""
    known = {value.name for value in graph.input}
    if len(known) < len(graph.input):
        raise DamagedFileError(f"{path}: two inputs of a graph have the same name")
    weights = [t.name for t in graph.initializer] + [
        t.values.name for t in graph.sparse_initializer
    ]
    if len(set(weights)) < len(weights):
        raise DamagedFileError(f"{path}: two initializers of a graph have the same name")
    known.update(weights)
    for node in graph.node:
        for name in node.input:
            if name and name not in known and name not in outer:
                raise DamagedFileError(
                    f"{path}: node {node.name or node.op_type} reads {name!r}, which nothing "
                    "before it computes; the graph is cyclic, unsorted or incomplete"
                )
        for inner in subgraphs(node):
            check_graph(inner, Either(known, outer), path)
        for name in node.output:
            if name and name in known:
                raise DamagedFileError(f"{path}: the name {name!r} is defined twice")
            known.add(name)
    for value in graph.output:
        if value.name not in known and value.name not in outer:
            raise DamagedFileError(f"{path}: nothing computes the output {value.name!r}")


class Either:
    """Names of a graph as it grows, and of the graphs around it."""

    def __init__(self, one: Container[str], two: Container[str]) -> None:
        self.one, self.two = one, two

    def __contains__(self, name: object) -> bool:
        return name in self.one or name in self.two


def copied_without(message: Any, *left_out: str) -> Any:
    """A copy of a Protobuf message without some of its fields, which are never copied."""
    new = type(message)()
    for field, value in message.ListFields():
        if field.name in left_out:
            continue
        if field.is_repeated:
            getattr(new, field.name).extend(value)
        elif field.message_type is not None:
            getattr(new, field.name).CopyFrom(value)
        else:
            setattr(new, field.name, value)
    return new


def without_large_weights(model: Any, above: int = SMALLEST_EXTERNAL) -> Any:
    """A copy of ``model`` whose initializers of more than ``above`` bytes have no values."""
    light = copied_without(model, "graph")
    light.graph.CopyFrom(copied_without(model.graph, "initializer"))
    for tensor in model.graph.initializer:
        kept = tensor if size_of(tensor) <= above else copied_without(tensor, *VALUES)
        light.graph.initializer.append(kept)
    return light


VALUES = (
    *("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"),
    *("string_data", "external_data", "data_location"),
)


def size_of(tensor: Any) -> int:
    """Bytes of the values of a tensor."""
    return len(tensor.raw_data) or 8 * prod(tensor.dims)


def write_onnx(path: Path, model: Any) -> list[Path]:
    """Write a model whole or not at all; weights beyond 2 GB go to ``<path>.data`` beside it.

    Returns:
        The files that were written.

    Raises:
        WriteError: A file cannot be written.
    """
    total = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    if total <= LARGEST_FILE:
        write_whole(path, model.SerializeToString())
        return [path]
    import onnx

    beside = path.with_name(f"{path.name}.data")
    light = without_large_weights(model)
    pieces: list[bytes] = []
    offset = 0
    for mine, full in zip(light.graph.initializer, model.graph.initializer, strict=True):
        if size_of(full) <= SMALLEST_EXTERNAL or not full.raw_data:
            mine.CopyFrom(full)
            continue
        padding = -offset % ALIGNMENT
        pieces += [b"\0" * padding, full.raw_data]
        mine.data_location = onnx.TensorProto.EXTERNAL
        facts = {"location": beside.name, "offset": offset + padding, "length": len(full.raw_data)}
        for key, value in facts.items():
            mine.external_data.add(key=key, value=str(value))
        offset += padding + len(full.raw_data)
    write_whole(beside, b"".join(pieces))
    write_whole(path, light.SerializeToString())
    return [path, beside]
