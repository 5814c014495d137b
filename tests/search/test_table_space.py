"""Spaces of tables: searched, read as published, or refused."""

import pytest
import torch

from nascence.data import Table, nasbench_macro, nats_size
from nascence.search import Evolution, TableEvaluator, search
from nascence.search.table_space import TableSpace


def test_a_table_can_be_searched() -> None:
    table = nasbench_macro()
    space = TableSpace(table)
    evaluate = TableEvaluator(space, table)
    strategy = Evolution(space, generator=torch.Generator().manual_seed(0))
    history = search(strategy, evaluate, trials=150)
    assert history.best.score > 92.5
    text = space.format(history.best.architecture)
    assert space.parse(text) == history.best.architecture


def test_architectures_are_read_as_published() -> None:
    space = TableSpace(nats_size())
    assert space.parse("8:64:16:8:32") == (0, 7, 1, 0, 3)
    with pytest.raises(ValueError, match="it has 4 choices, and this space has 5"):
        space.parse("8:64:16:8")
    with pytest.raises(ValueError, match=r"width_4 is '9'; use one of 8, 16"):
        space.parse("8:64:16:8:9")
    with pytest.raises(ValueError, match="cannot be built"):
        space.build((0,) * 5)


def test_a_table_of_a_part_is_no_space() -> None:
    table = Table(
        "part", (("a", (1, 2)),), {"x/test": torch.ones(1).double().numpy()}, "", {(0,): 0}
    )
    with pytest.raises(ValueError, match=r"holds a part of its space only.*use ListedSpace"):
        TableSpace(table)
