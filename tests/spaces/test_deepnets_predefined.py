"""The predefined networks against the published ones."""

import pytest

from nascence.spaces.deepnets_network import graph_of
from nascence.spaces.deepnets_predefined import resnet50, vit


def test_resnet50_is_the_published_network() -> None:
    graph = graph_of(resnet50(classes=1000, image_size=224))
    assert graph.parameter_count == 25_557_032
    assert len(graph) == 127
    # 4.089 billion multiply-adds, as the literature counts them
    assert graph.macs == pytest.approx(4.089e9, rel=1e-3)


@pytest.mark.parametrize(("side", "positions"), [(32, 121), (224, 196)])
def test_vit_has_twelve_layers_on_a_grid_of_patches(side: int, positions: int) -> None:
    graph = graph_of(vit(classes=10, image_size=side))
    assert sum(node.op == "msa" for node in graph.nodes) == 12
    (grid,) = (p for p in graph.parameters if p.role == "position")
    assert grid.shape[2] * grid.shape[3] == positions
    assert grid.shape[1] == 128
    # a layer: two norms, query, key and value, projection, and an MLP of equal width
    layer = 2 * 2 * 128 + 3 * 128**2 + 3 * (128**2 + 128)
    stem = 128 * 3 * (16 if side == 224 else 3) ** 2 + 128 * positions
    assert graph.parameter_count == stem + 12 * layer + 10 * 129
