"""Layer lists: dead layers, sizes and costs by hand."""

import torch

from nascence.graph import trace
from nascence.spaces.deepnets_genome import Cell, Genome
from nascence.spaces.deepnets_network import LayerNetwork, graph_of
from nascence.spaces.deepnets_program import Builder, live, parameter_count, program


def test_dead_layers_are_dropped_and_inputs_renumbered() -> None:
    b = Builder(8, "bn")
    kept = b.conv(0, "a", 4, (3, 3))
    b.conv(0, "dead", 4, (3, 3))
    last = b.conv(kept, "b", 2, (1, 1), bias=True)
    layers, (end,) = live(b.layers, (last,))
    assert [layer.name for layer in layers] == ["a", "b"]
    assert layers[1].inputs == (1,)
    assert end == 2
    assert parameter_count(layers) == 4 * 27 + 2 * 4 + 2


def test_sizes_and_costs_by_hand() -> None:
    b = Builder(9, "none")
    x = b.conv(0, "c", 6, (5, 3), stride=2)
    assert b.sizes[x] == (6, 5, 5)
    assert b.layers[-1].macs == 6 * 25 * 3 * 15
    assert b.normalise(x, "n") == x
    assert b.sizes[b.pool("max_pool", x, 2)] == (6, 3, 3)
    assert b.sizes[b.attention(x, "t")] == (6, 5, 5)
    assert sum(layer.macs for layer in b.layers if layer.kind == "msa") == 2 * 25 * 25 * 6


def genome(normal: Cell, reduction: Cell, **changes: object) -> Genome:
    plain = Genome(4, normal, reduction, 2, "simple", 3, False, "bn", True, True, 1)
    return plain._replace(**changes)


CONV = Cell(((("conv_3", 0), ("skip", 1)), (("conv_1", 2), ("none", 0))), (0, 1))
# the first step has no input left: a map of zeros keeps the channels
HALF = Cell(((("none", 0), ("none", 1)), (("conv_3", 1), ("max_pool_3", 0))), (0, 1))
NOTHING = Cell(((("none", 0), ("none", 1)), (("conv_3", 2), ("none", 0))), (0, 1))
# reads the cell before the last alone, so every second cell is for nothing
SKIPS = Cell(((("conv_3", 0), ("none", 1)), (("conv_1", 2), ("none", 1))), (0, 1))


def test_a_step_without_inputs_is_a_map_of_zeros() -> None:
    layers = program(genome(CONV, HALF), channels=8, linear_width=16, classes=5, image_size=16)
    assert layers is not None
    model = LayerNetwork(layers).eval()
    assert trace(model, torch.zeros(1, 3, 16, 16)) == graph_of(layers)
    assert model(torch.randn(2, 3, 16, 16)).shape == (2, 5)
    zeros = [layer for layer in layers if layer.kind == "zeros"]
    assert len(zeros) == 2


def test_networks_with_a_cell_cut_off_are_refused() -> None:
    for normal, reduction in ((NOTHING, CONV), (CONV, NOTHING), (SKIPS, SKIPS)):
        found = program(
            genome(normal, reduction), channels=8, linear_width=16, classes=5, image_size=16
        )
        assert found is None


def test_stems_reduce_large_images_alone() -> None:
    expected = {
        ("simple", 16): ("stem.norm", 16),
        ("simple", 224): ("stem.norm", 56),
        ("imagenet", 16): ("stem.conv_2.norm", 8),
        ("imagenet", 224): ("stem.conv_2.norm", 28),
        ("vit", 32): ("stem.position", 11),
        ("vit", 224): ("stem.position", 14),
    }
    for (stem, side), (name, size) in expected.items():
        layers = program(
            genome(CONV, CONV, stem=stem),
            channels=8, linear_width=16, classes=5, image_size=side,
        )  # fmt: skip
        assert layers is not None
        assert [layer.size[1] for layer in layers if layer.name == name] == [size]
