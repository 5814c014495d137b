"""Genotypes: the published form of a pair of DARTS cells, and some that were published."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from nascence.spaces.decisions import shortened

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
NODES = (2, 3, 4, 5)
Edges = tuple[tuple[str, int], ...]


class Genotype(NamedTuple):
    """Two kept edges ``(operation, input)`` for each of the four nodes in turn, per cell.

    Inputs 0 and 1 are the outputs of the cell before the last and of the last; 2 to 5 are the
    nodes, which the cell concatenates. Written and read in the published form,
    ``Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=[2, 3, 4, 5], reduce=…, …)``.
    """

    normal: Edges
    normal_concat: tuple[int, ...]
    reduce: Edges
    reduce_concat: tuple[int, ...]

    def __str__(self) -> str:
        fields = (f"{name}={list(value)}" for name, value in zip(self._fields, self, strict=True))
        return f"Genotype({', '.join(fields)})"


def genotype(normal: Sequence[tuple[str, int]], reduce: Sequence[tuple[str, int]]) -> Genotype:
    """Make a genotype whose cells concatenate all four nodes."""
    return Genotype(tuple(normal), NODES, tuple(reduce), NODES)


def check_genotype(value: Genotype) -> Genotype:
    """Return ``value`` made of tuples; raise ``ValueError`` where it is not of the DARTS space."""
    try:
        normal, normal_concat, reduce, reduce_concat = value
        cells = {"normal": [tuple(edge) for edge in normal], "reduce": [tuple(e) for e in reduce]}
        concats = {"normal": tuple(normal_concat), "reduce": tuple(reduce_concat)}
    except (TypeError, ValueError):
        raise ValueError(
            f"{shortened(value)} is no genotype; it needs normal, normal_concat, reduce and "
            "reduce_concat"
        ) from None
    for kind, edges in cells.items():
        if concats[kind] != NODES:
            raise ValueError(
                f"{kind}_concat is {shortened(list(concats[kind]))}; cells of this space "
                f"concatenate all nodes, {list(NODES)}"
            )
        if len(edges) != 2 * len(NODES):
            raise ValueError(
                f"the {kind} cell has {len(edges)} edges; it must have {2 * len(NODES)}, two for "
                "each of the nodes 2 to 5"
            )
        for place, edge in enumerate(edges):
            _check_edge(kind, NODES[place // 2], edge)
        for place, node in enumerate(NODES):
            if edges[2 * place][1] == edges[2 * place + 1][1]:
                raise ValueError(
                    f"node {node} of the {kind} cell takes input {edges[2 * place][1]} twice; "
                    "its two inputs must differ"
                )
    return genotype(cells["normal"], cells["reduce"])  # type: ignore[arg-type]


def _check_edge(kind: str, node: int, edge: tuple) -> None:
    if len(edge) != 2:
        raise ValueError(f"{shortened(edge)} in the {kind} cell is no pair (operation, input)")
    operation, source = edge
    if operation not in OPERATIONS[1:]:
        raise ValueError(
            f"operation {shortened(operation)} in the {kind} cell is not of this space; use one "
            f"of {', '.join(OPERATIONS[1:])}"
        )
    if isinstance(source, bool) or not isinstance(source, int) or not 0 <= source < node:
        raise ValueError(
            f"node {node} of the {kind} cell takes input {shortened(source)}; it must be an int "
            f"from 0 to {node - 1}"
        )


_PAIR = r"\(['\"]\w*['\"],\d{1,2}\)"
_PAIRS = rf"[\[(]({_PAIR}(?:,{_PAIR})*,?)[\])]"
_CONCAT = r"(range\(\d,\d\)|[\[(]\d(?:,\d)*,?[\])])"
_FORM = re.compile(
    rf"(?:\w+=)?Genotype\(normal={_PAIRS},normal_concat={_CONCAT},"
    rf"reduce={_PAIRS},reduce_concat={_CONCAT},?\)"
)


def read_genotype(text: str) -> Genotype:
    """Read the published form, a name before it allowed (``PC_DARTS = Genotype(…)``).

    Nothing in it is evaluated. Raises ``ValueError`` naming what is wrong with it.
    """
    dense = re.sub(r" ?([][(),=]) ?", r"\1", " ".join(text.split()))
    match = _FORM.fullmatch(dense)
    if match is None:
        raise ValueError(
            f"cannot read the architecture {shortened(text)}; its form is "
            "Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=[2, 3, 4, 5], "
            "reduce=[('max_pool_3x3', 0), …], reduce_concat=[2, 3, 4, 5])"
        )
    normal, normal_concat, reduce, reduce_concat = match.groups()
    return check_genotype(
        Genotype(
            _read_edges(normal),
            _read_concat(normal_concat),
            _read_edges(reduce),
            _read_concat(reduce_concat),
        )
    )


def _read_edges(text: str) -> Edges:
    pairs = re.findall(r"\(['\"](\w*)['\"],(\d+)\)", text)
    return tuple((operation, int(source)) for operation, source in pairs)


def _read_concat(text: str) -> tuple[int, ...]:
    numbers = [int(number) for number in re.findall(r"\d", text)]
    return tuple(range(*numbers)) if text.startswith("range") else tuple(numbers)


def _cell(edges: str) -> Edges:
    """Read ``s3:0 s3:1 …``: the initial of an operation, its kernel, and the input."""
    long = {"m": "max_pool", "a": "avg_pool", "s": "sep_conv", "d": "dil_conv"}
    words = (edge.split(":") for edge in edges.split())
    return tuple(
        ("skip_connect" if word == "id" else f"{long[word[0]]}_{word[1]}x{word[1]}", int(source))
        for word, source in words
    )


GENOTYPES = {
    # Liu, Simonyan and Yang, ICLR 2019, as released: first and second order
    "DARTS_V1": genotype(
        _cell("s3:1 s3:0 id:0 s3:1 id:0 s3:1 s3:0 id:2"),
        _cell("m3:0 m3:1 id:2 m3:0 m3:0 id:2 id:2 a3:0"),
    ),
    "DARTS_V2": genotype(
        _cell("s3:0 s3:1 s3:0 s3:1 s3:1 id:0 id:0 d3:2"),
        _cell("m3:0 m3:1 id:2 m3:1 m3:0 id:2 id:2 m3:1"),
    ),
    # Xu et al., ICLR 2020, searched on CIFAR-10 and on ImageNet
    "PC_DARTS_CIFAR": genotype(
        _cell("s3:1 id:0 s3:0 d3:1 s5:0 s3:1 a3:0 d3:1"),
        _cell("s5:1 m3:0 s5:1 s5:2 s3:0 s3:3 s3:1 s3:2"),
    ),
    "PC_DARTS_IMAGENET": genotype(
        _cell("id:1 s3:0 s3:0 id:1 s3:1 s3:3 s3:1 d5:4"),
        _cell("s3:0 id:1 d5:2 m3:1 s3:2 s3:1 s5:0 s3:3"),
    ),
    # Zhang et al., CVPR 2021 (random labels), searched on CIFAR-10
    "RLDARTS_CIFAR": genotype(
        _cell("s5:0 s3:1 d3:0 s5:2 s3:0 d5:3 d5:1 d3:2"),
        _cell("s5:0 d3:1 s3:0 s5:2 d3:1 s3:3 m3:1 s5:2"),
    ),
}
"""Published genotypes by name."""
