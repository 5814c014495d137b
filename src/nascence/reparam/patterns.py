"""Convolution and BatchNorm read off the source of a forward that cannot be traced."""

import ast
import inspect
import textwrap
from collections import Counter
from functools import lru_cache
from itertools import pairwise

from torch import nn


def normalised_pairs(module: nn.Module) -> list[tuple[str, str]]:
    """Names ``(convolution, norm)`` of children that the forward always applies in this order.

    A pair counts where the methods of the class name each child once, and there as
    ``self.norm(self.convolution(...))`` or as two neighbouring assignments
    ``x = self.convolution(...)``, ``x = self.norm(x)``; so it holds on every path through the
    forward, whatever it decides on.
    """
    return _pairs_of(type(module))  # type: ignore[arg-type]  # torch types its hash loosely


@lru_cache(maxsize=1024)
def _pairs_of(kind: type) -> list[tuple[str, str]]:
    """The pairs of a class, whose source is read once for all its modules."""
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):
        return []
    tree = ast.parse(source)
    forward = next(
        (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "forward"), None
    )
    if forward is None:
        return []
    uses = Counter(
        name
        for method in ast.walk(tree)
        if isinstance(method, ast.FunctionDef) and method.name != "__init__"
        for node in ast.walk(method)
        if (name := own_attribute(node))
    )
    pairs = nested_pairs(forward) + consecutive_pairs(forward)
    return [(a, b) for a, b in pairs if uses[a] == uses[b] == 1]


def own_attribute(node: ast.AST) -> str | None:
    """``name`` of an expression ``self.name``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr if node.value.id == "self" else None
    return None


def called_child(node: ast.AST) -> str | None:
    """``name`` of an expression ``self.name(one argument)``."""
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        return own_attribute(node.func)
    return None


def nested_pairs(forward: ast.FunctionDef) -> list[tuple[str, str]]:
    """Children called on the result of another, ``outer(inner(x))``, as (inner, outer)."""
    pairs = []
    for node in ast.walk(forward):
        outer = called_child(node)
        if outer and isinstance(node, ast.Call):
            inner = called_child(node.args[0])
            if inner:
                pairs.append((inner, outer))
    return pairs


def assigned(statement: ast.stmt) -> tuple[str, ast.Call] | None:
    """Variable and call of ``name = self.child(argument)``."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Name) and isinstance(value, ast.Call) and called_child(value):
        return target.id, value
    return None


def consecutive_pairs(forward: ast.FunctionDef) -> list[tuple[str, str]]:
    """Children called in neighbouring lines on one variable, as (first, second)."""
    pairs = []
    for block in ast.walk(forward):
        body = getattr(block, "body", None)
        if not isinstance(body, list):
            continue
        for one, two in pairwise(body):
            first, second = assigned(one), assigned(two)
            if first is None or second is None or first[0] != second[0]:
                continue
            argument = second[1].args[0]
            if isinstance(argument, ast.Name) and argument.id == first[0]:
                inner, outer = called_child(first[1]), called_child(second[1])
                if inner and outer:
                    pairs.append((inner, outer))
    return pairs
