"""Patterns that runtimes compute as one kernel, which they know by all of its parts."""

from collections.abc import Iterator

from torch import fx

from nascence.folding.graph import OnnxGraph

ARITHMETIC = ("Add", "Sub", "Mul", "Div")


def parts_of_fused(graph: OnnxGraph) -> set[fx.Node]:
    """Sums and products with constants that belong to a written-out Gelu or LayerNorm.

    Gelu is x (1 + erf(x / √2)) / 2 in any order, LayerNorm (x - mean) / √(variance + ε) times and
    plus a constant.
    """
    found: set[fx.Node] = set()
    for node in graph.nodes:
        kind = node.meta.get("kind")
        if kind == "Erf":
            found |= gelu_around(node)
        elif kind == "Sqrt":
            found |= affine_after(node)
    return found


def with_constant(node: fx.Node) -> bool:
    """Whether a node is a sum or product of one value and a constant."""
    return node.meta.get("kind") in ARITHMETIC and len(node.args) == 1


def readers(node: fx.Node, *kinds: str) -> Iterator[fx.Node]:
    """Readers of a value that are of one of ``kinds``."""
    return (user for user in node.users if user.meta.get("kind") in kinds)


def gelu_around(erf: fx.Node) -> set[fx.Node]:
    """The sums and products with constants of the Gelu around an error function."""
    parts = {value for value in erf.all_input_nodes if with_constant(value)}
    for total in readers(erf, "Add"):
        parts.add(total)
        for product in readers(total, "Mul"):
            parts |= {value for value in product.all_input_nodes if with_constant(value)}
            parts |= {user for user in readers(product, "Mul", "Div") if with_constant(user)}
            if with_constant(product):  # halved before it is multiplied
                parts.add(product)
    return parts


def affine_after(root: fx.Node) -> set[fx.Node]:
    """The scale and shift after a division by a square root, and what is added under the root."""
    parts: set[fx.Node] = set()
    for quotient in readers(root, "Div"):
        if len(quotient.args) != 2:
            continue
        parts |= {value for value in root.all_input_nodes if with_constant(value)}
        for scale in readers(quotient, "Mul"):
            parts.add(scale)
            parts |= {shift for shift in readers(scale, "Add") if with_constant(shift)}
    return parts
