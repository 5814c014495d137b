"""Docstrings of public functions say the shapes of tensors, and what the function raises."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "nascence"
TENSORS = re.compile(r"\b(Tensor|ndarray|NDArray|Array|Batch)\b")
SHAPE = re.compile(
    # ``(B, C, H, W)``, ``(n,)``, ``()`` or ``(...)`` as code; a call ``f(a, b)`` is none
    r"``[^`]*(?<![\w\]])\((?:\.\.\.|[^()`]+,[^()`]*)?\)[^`]*``"
    r"|\bshapes?\b|\bscalars?\b",
    re.IGNORECASE,
)
TURNED = re.compile(r"failures_as_lines\(|foreign\(")
"""Contexts from which every exception comes out as another one."""
NOT_FOR_CALLERS = ("NotImplementedError", "AssertionError")


class Function(NamedTuple):
    """A public function, its own docstring and, for a method, that of its class."""

    place: str
    node: ast.FunctionDef
    own: str
    of_class: str


def functions_of(source: str, place: str) -> Iterator[Function]:
    """Public functions and methods; constructors are documented by their class."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield Function(f"{place}:{node.name}", node, ast.get_docstring(node) or "", "")
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            of_class = ast.get_docstring(node) or ""
            for method in node.body:
                if not isinstance(method, ast.FunctionDef):
                    continue
                if not method.name.startswith("_") or method.name in ("__init__", "__call__"):
                    own = ast.get_docstring(method) or ""
                    yield Function(f"{place}:{node.name}.{method.name}", method, own, of_class)


@cache
def public_functions() -> list[Function]:
    return [
        function
        for path in sorted(SOURCE.rglob("*.py"))
        for function in functions_of(path.read_text(), str(path.relative_to(SOURCE)))
    ]


def has_tensors(node: ast.FunctionDef) -> bool:
    """Whether it takes or returns tensors; those of a callback are the callback's."""
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg]
    annotations = [each.annotation for each in every if each] + [node.returns]
    return any(
        TENSORS.search(re.sub(r"Callable\[.*", "", ast.unparse(each)))
        for each in annotations
        if each is not None
    )


def says_no_shape(function: Function) -> bool:
    text = f"{function.own}\n{function.of_class}"
    return has_tensors(function.node) and not SHAPE.search(text)


def raised(block: Iterable[ast.AST]) -> set[str]:
    """Names of the exceptions that leave a function from its own lines.

    Left out are those that it raises again, and that it catches or turns into something else.
    """
    found = set()
    for each in block:
        if isinstance(each, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(each, ast.Raise) and isinstance(each.exc, ast.Call):
            name = ast.unparse(each.exc.func).rpartition(".")[2]
            if name[0].isupper() and name not in NOT_FOR_CALLERS:
                found.add(name)
        elif isinstance(each, ast.Try):
            caught = " ".join(ast.unparse(handler.type or each) for handler in each.handlers)
            inside = {name for name in raised(each.body) if not re.search(rf"\b{name}\b", caught)}
            found |= inside | raised([*each.handlers, *each.orelse, *each.finalbody])
        elif not (isinstance(each, ast.With) and TURNED.match(ast.unparse(each.items[0]))):
            found |= raised(ast.iter_child_nodes(each))
    return found


def names_no(function: Function) -> set[str]:
    """The exceptions that neither the function's docstring nor its class's names."""
    text = f"{function.own}\n{function.of_class}"
    return {each for each in raised(function.node.body) if not re.search(rf"\b{each}\b", text)}


@pytest.mark.parametrize(
    ("docstring", "silent"),
    [
        ("Return images ``(B, C, H, W)``.", False),
        ("Return ``(n,)`` of them.", False),
        ("The loss, ``()``.", False),
        ("Float32 of the same shape.", False),
        ("Return the images (B, C, H, W).", True),
        ("Any vector, matrix or flat state.", True),
        ("Return ``f(a, b)`` (Liu et al., 2019, section 3).", True),
    ],
)
def test_what_counts_as_a_shape(docstring: str, silent: bool) -> None:
    source = f'def f(x: Tensor) -> None:\n    """{docstring}"""\n'
    (function,) = functions_of(source, "f.py")
    assert says_no_shape(function) == silent


def test_shapes_are_said_where_a_tensor_is_taken_or_returned() -> None:
    silent = [each.place for each in public_functions() if says_no_shape(each)]
    assert not silent, f"{len(silent)} say no shape:\n" + "\n".join(silent)


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ("raise ValueError('no')", {"ValueError"}),
        ("raise errors.DataError('no') from None", {"DataError"}),
        ("raise", set()),
        ("raise error", set()),
        ("raise NotImplementedError('later')", set()),
        ("def inner(): raise ValueError('no')", set()),
        ("try: raise ValueError('no')\n    except ValueError: pass", set()),
        ("try: g()\n    except ValueError: raise ValueError('no') from None", {"ValueError"}),
        ("with failures_as_lines(): raise ValueError('no')", set()),
    ],
)
def test_what_counts_as_raised(body: str, missing: set[str]) -> None:
    source = f'def f() -> None:\n    """{{}}"""\n    {body}\n'
    (silent,) = functions_of(source.format("Say nothing."), "f.py")
    (frank,) = functions_of(source.format(f"Raise {' '.join(missing)}."), "f.py")
    assert names_no(silent) == missing
    assert not names_no(frank)


def test_what_is_raised_is_named() -> None:
    found = [f"{each.place}: {', '.join(names_no(each))}" for each in public_functions()]
    silent = [line for line in found if not line.endswith(": ")]
    assert not silent, f"{len(silent)} do not name what they raise:\n" + "\n".join(silent)
