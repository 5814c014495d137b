"""Rules for matrix products between activations, attention, and products with parameters."""

from typing import Any

import torch
from torch import Tensor

from nascence.graph import shapes
from nascence.graph.recorder import Recorder, Rule

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def _attention_of(recorder: Recorder, lineage: tuple[int, ...]) -> int | None:
    for node in lineage:
        if node in recorder.attention:
            return recorder.attention[node]
    return None


def _product(recorder: Recorder, x: Tensor, y: Tensor, macs: int) -> tuple[int, ...]:
    """Lineage of a matrix product of two operands of which at least one is an activation."""
    first, second = recorder.sources(x), recorder.sources(y)
    if first and second:
        both = tuple(dict.fromkeys((*first, *second)))
        attention = _attention_of(recorder, both)
        if attention is not None:
            # what the scores are multiplied with feeds the same node, if it was there before it
            record = recorder.records[attention]
            record.macs += macs
            values = [n for n in both if n not in recorder.attention and n < attention]
            record.sources.extend(n for n in values if n not in record.sources)
            return tuple(n for n in both if n not in values)
        node = recorder.node("msa", both, (), macs)
        recorder.attention[node] = node
        return (node,)
    lineage, other = (first, y) if first else (second, x)
    if id(other) not in recorder.follow:
        if macs:
            recorder.records[max(lineage)].macs += macs
        return lineage
    transposed = recorder.follow[id(other)].transposed
    role = "weight_transposed" if bool(first) != transposed else "weight"
    return (recorder.node("conv", lineage, recorder.owned(other, role), macs),)


def matmul(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``matmul``, ``bmm``, ``mm``: between two activations it is attention."""
    x, y = args[0], (args[1] if len(args) > 1 else next(iter(kwargs.values())))
    if func.__name__ == "__rmatmul__":
        x, y = y, x
    out = func(*recorder.shapeless(args), **recorder.shapeless(kwargs))
    if recorder.sources(x) or recorder.sources(y):
        lineage = _product(recorder, x, y, out.numel() * x.shape[-1])
        recorder.mark(out, lineage, None)
    else:
        recorder.mark(out, (), recorder.followed((x, y)))
    return out


def einsum(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``einsum`` of two operands, as a matrix product; multiply-adds over all its letters."""
    operands = [value for value in args[1:] if isinstance(value, Tensor)]
    if len(args) == 2 and isinstance(args[1], (list, tuple)):
        operands = list(args[1])
    out = func(args[0], *recorder.shapeless(operands))
    if len(operands) == 2 and any(recorder.sources(value) for value in operands):
        x, y = operands
        macs = _einsum_macs(args[0], x, y)
        recorder.mark(out, _product(recorder, x, y, macs), None)
    else:
        recorder.mark(out, recorder.union(operands), recorder.followed(operands))
    return out


def _einsum_macs(equation: str, x: Tensor, y: Tensor) -> int:
    """The product of the sizes of all letters."""
    sizes: dict[str, int] = {}
    terms = equation.split("->")[0].replace(" ", "").split(",")
    for term, value in zip(terms, (x, y), strict=False):
        letters = term.replace("...", "")
        head = value.dim() - len(letters) if "..." in term else 0
        start = term.find("...") if "..." in term else 0
        shape = list(value.shape)
        ellipsis = shape[start : start + head]
        del shape[start : start + head]
        sizes.update(zip(letters, shape, strict=False))
        if ellipsis:
            sizes["..."] = shapes.numel(ellipsis)
    return shapes.numel(list(sizes.values()))


def scaled_dot_product(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``softmax(q k^T + mask) v`` in one call; a learned mask is a position table."""
    query, key, value = (
        args[:3]
        if len(args) > 2
        else (*args, *(kwargs[n] for n in ("query", "key", "value")[len(args) :]))
    )
    mask = args[3] if len(args) > 3 else kwargs.get("attn_mask")
    lineage = recorder.union((query, key, value))
    for operand in (query, key, value):
        if not recorder.sources(operand):
            lineage = tuple(dict.fromkeys((*lineage, *recorder.activation(operand))))
    shape = (*query.shape[:-1], value.shape[-1])
    macs = shapes.numel(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])
    node = recorder.node("msa", (*lineage, *recorder.sources(mask)), (), macs)
    recorder.attention[node] = node
    if id(mask) in recorder.follow and not recorder.sources(mask):
        node = recorder.node("rel_pos", (node,), recorder.owned(mask, "table"))
    return recorder.emit(shape, query.dtype, (node,))


_ARGUMENTS = """
    query key value embed_dim_to_check num_heads in_proj_weight in_proj_bias bias_k bias_v
    add_zero_attn dropout_p out_proj_weight out_proj_bias
"""


def multi_head_attention(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``multi_head_attention_forward``: projection, attention, projection."""
    names = _ARGUMENTS.split()
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    query, key, value = (given[name] for name in names[:3])
    width = query.shape[-1]
    inputs = tuple(dict.fromkeys(n for t in (query, key, value) for n in recorder.activation(t)))
    packed: list[Any] = [given.get("in_proj_weight")]
    if packed[0] is None:
        packed = [given.get(f"{letter}_proj_weight") for letter in "qkv"]
    tokens = [shapes.numel(tensor.shape[:-1]) for tensor in (query, key, value)]
    projections: list[int] = []
    for weight in packed:
        share = tokens if len(packed) == 1 else [tokens[len(projections)]]
        macs = sum(share) * width * weight.shape[-1]
        projections.append(recorder.node("conv", inputs, recorder.owned(weight, "weight"), macs))
    if given.get("in_proj_bias") is not None:
        parameters = recorder.owned(given["in_proj_bias"], "bias")
        projections = [recorder.node("bias", projections, parameters)]
    for name in ("bias_k", "bias_v"):
        if given.get(name) is not None:
            projections.extend(recorder.activation(given[name]))
    length = key.shape[0] if key.dim() == 3 else key.shape[-2]
    attention = recorder.node("msa", projections, (), 2 * tokens[0] * length * width)
    out = recorder.node(
        "conv",
        (attention,),
        recorder.owned(given["out_proj_weight"], "weight"),
        tokens[0] * width * width,
    )
    if given.get("out_proj_bias") is not None:
        out = recorder.node("bias", (out,), recorder.owned(given["out_proj_bias"], "bias"))
    result = recorder.emit(query.shape, query.dtype, (out,))
    if not given.get("need_weights", True):
        return result, None
    batch = query.shape[1:-1] if query.dim() == 3 else ()
    heads = () if given.get("average_attn_weights", True) else (given["num_heads"],)
    target = query.shape[0]
    weights = recorder.emit(
        (*batch, *heads, target, key.shape[0]), torch.get_default_dtype(), (attention,)
    )
    return result, weights


ATTENTION_RULES: dict[str, Rule] = {
    **dict.fromkeys(("matmul", "bmm", "mm", "__matmul__", "__rmatmul__", "mv"), matmul),
    "einsum": einsum,
    "scaled_dot_product_attention": scaled_dot_product,
    "multi_head_attention_forward": multi_head_attention,
}
