"""Drawn genomes keep every published rule."""

from collections import Counter
from random import Random

from nascence.spaces.deepnets_genome import OPS, Ranges, between, draw


def genomes(ranges: Ranges, count: int = 400):
    random = Random("test")
    return [genome for _ in range(count) if (genome := draw(random, ranges)) is not None]


def test_every_rule_holds_in_what_is_drawn() -> None:
    seen: Counter[str] = Counter()
    for genome in genomes(Ranges()):
        assert 4 <= genome.cells <= 18
        used: set[str] = set()
        assert genome.normal.joined == genome.reduction.joined
        for cell in (genome.normal, genome.reduction):
            steps = len(cell.steps)
            assert 1 <= steps <= (4 if genome.cells <= 10 else 2)
            ops = [op for step in cell.steps for op, _ in step]
            seen.update(ops)
            used.update(ops)
            assert ops.count("cse") <= 1
            assert ops.count("conv_5") + ops.count("conv_7") <= 1
            assert steps > 1 or "none" not in ops
            assert cell.joined[-1] == steps - 1
            for index, ((_, first), (_, second)) in enumerate(cell.steps):
                assert first != second
                assert max(first, second) < index + 2
        assert any("conv" in op or op == "msa" for op in used)
        assert "cse" not in used or any("conv" in op for op in used)
        assert (genome.stem == "vit") == ("msa" in used)
        assert genome.norm == "bn" or (genome.cells <= 5 and len(genome.normal.steps) <= 2)
        if len(genome.normal.steps) > 1 or genome.channel_factor == 2 or "msa" not in used:
            assert genome.preprocess
        assert genome.global_pool or genome.stem != "vit"
    assert set(seen) == set(OPS)


def test_ranges_of_the_other_splits() -> None:
    deep = genomes(Ranges(cells=(10, 36), thresholds=(18,)))
    assert all(10 <= genome.cells <= 36 for genome in deep)
    most = {
        side: max(len(g.normal.steps) for g in deep if (g.cells > 18) == side)
        for side in (False, True)
    }
    assert most == {False: 4, True: 2}
    dense = genomes(Ranges(steps=(2, 6, 10)), 3000)
    assert {len(g.normal.steps) for g in dense if g.cells <= 7} == set(range(2, 11))
    assert {len(g.normal.steps) for g in dense if g.cells > 10} == set(range(2, 7))
    assert {g.norm for g in genomes(Ranges(norm="none"))} == {"none"}
    unprocessed = [
        g for g in genomes(Ranges(steps=(1, 1, 1), unprocessed=(1.0, 1.0)))
        if g.channel_factor == 1
    ]  # fmt: skip
    assert unprocessed
    assert not any(genome.preprocess for genome in unprocessed)


def test_between_reaches_both_ends() -> None:
    random = Random(0)
    assert {between(random, 2, 4) for _ in range(100)} == {2, 3, 4}
