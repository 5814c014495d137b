"""Genotypes in their published form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascence.spaces import GENOTYPES, Genotype
from nascence.spaces.darts_genotype import NODES, OPERATIONS, check_genotype, read_genotype

# The release of PC-DARTS, letter for letter
PC_DARTS = (
    "PC_DARTS_cifar = Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), "
    "('sep_conv_3x3', 0), ('dil_conv_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), "
    "('avg_pool_3x3', 0), ('dil_conv_3x3', 1)], normal_concat=range(2, 6), "
    "reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 2), "
    "('sep_conv_3x3', 0), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)], "
    "reduce_concat=range(2, 6))"
)
GOOD = str(GENOTYPES["DARTS_V2"])


@st.composite
def cells(draw) -> tuple:
    edges = []
    for node in NODES:
        sources = draw(st.lists(st.integers(0, node - 1), min_size=2, max_size=2, unique=True))
        edges += [(draw(st.sampled_from(OPERATIONS[1:])), source) for source in sources]
    return tuple(edges)


@given(normal=cells(), reduce=cells())
def test_the_published_form_round_trips(normal: tuple, reduce: tuple) -> None:
    value = Genotype(normal, NODES, reduce, NODES)
    assert check_genotype(value) == value
    assert read_genotype(str(value)) == value
    assert read_genotype(repr(value).replace("'", '"')) == value
    # what is written is Python of the released code
    assert eval(str(value), {"Genotype": Genotype}) == Genotype(
        list(normal), list(NODES), list(reduce), list(NODES)
    )


def test_a_released_genotype_is_read() -> None:
    assert read_genotype(PC_DARTS) == GENOTYPES["PC_DARTS_CIFAR"]
    assert read_genotype(PC_DARTS.replace(", ", " ,\n   ")) == GENOTYPES["PC_DARTS_CIFAR"]


@given(text=st.text(alphabet="Genotype(normal=[('sep_conv_3x3', 0)]) ", max_size=80))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot read the architecture"):
        read_genotype(text)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("'dil_conv_3x3', 2", "'sep_conv_7x7', 2", "operation 'sep_conv_7x7' in the normal cell"),
        ("'dil_conv_3x3', 2", "'none', 2", "operation 'none' in the normal cell is not of"),
        ("'dil_conv_3x3', 2", "'dil_conv_3x3', 5", "node 5 of the normal cell takes input 5;"),
        ("'dil_conv_3x3', 2", "'dil_conv_3x3', 0", "node 5 of the normal cell takes input 0 twice"),
        (", ('dil_conv_3x3', 2)", "", "the normal cell has 7 edges; it must have 8"),
        ("normal_concat=[2, 3, 4, 5]", "normal_concat=[2, 3]", r"normal_concat is \[2, 3\]"),
        ("reduce_concat=[2, 3, 4, 5]", "reduce_concat=range(2, 5)", "reduce_concat is"),
        ("reduce=", "reduction=", "cannot read"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', 2, 3)", "cannot read"),
        ("('dil_conv_3x3', 2)", "__import__('os')", "cannot read"),
        ("Genotype(", " " * 100_000, "cannot read"),
        ("Genotype(", "(" * 100_000, "cannot read"),
    ],
)
def test_bad_genotypes_are_one_clear_line(before: str, after: str, message: str) -> None:
    assert before in GOOD
    with pytest.raises(ValueError, match=message) as caught:
        read_genotype(GOOD.replace(before, after))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        (1, 2, 3, 4),
        ("a", "b", "c", "d"),
        GENOTYPES["DARTS_V2"]._replace(normal=()),
        GENOTYPES["DARTS_V2"]._replace(normal=[("skip_connect",)] * 8),
        GENOTYPES["DARTS_V2"]._replace(normal=[("skip_connect", True)] * 8),
        GENOTYPES["DARTS_V2"]._replace(normal=[([], 0)] * 8),
    ],
)
def test_values_that_are_no_genotype_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"genotype|_concat|cell"):
        check_genotype(value)
