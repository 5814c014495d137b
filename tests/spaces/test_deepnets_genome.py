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
        for cell in (genome.normal, genome.reduction):
            steps = len(cell.steps)
            assert 1 <= steps <= (4 if genome.cells <= 10 else 2)
            ops = [op for step in cell.steps for op, _ in step]
            seen.update(ops)
            used.update(ops)
            assert all(ops.count(op) <= 1 for op in ("cse", "conv_5", "conv_7"))
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
    assert all(10 <= g.cells <= 36 for g in genomes(Ranges(cells=(10, 36))))
    assert all(2 <= len(g.normal.steps) <= 10 for g in genomes(Ranges(steps=(2, 6, 10))))
    assert {g.norm for g in genomes(Ranges(norm="none"))} == {"none"}


def test_between_reaches_both_ends() -> None:
    random = Random(0)
    assert {between(random, 2, 4) for _ in range(100)} == {2, 3, 4}
