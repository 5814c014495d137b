from nascence.spaces.deepnets_program import Builder, live, parameter_count


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
