"""Angles of the paths of supernets against explicit weight vectors built path by path."""

import copy
import re
import time
from itertools import pairwise

import pytest
import torch
from torch import nn

from nascence.metrics.angle import RLNAS
from nascence.spaces import NB201, Darts, Mobile, ShuffleNetSpace, SmallSpace
from nascence.supernets import AngleEvaluator, SuperNet

SPACES = {
    "nb201": lambda: NB201(width=4, cells=2),
    "small": lambda: SmallSpace(width=4),
    "darts": lambda: Darts(width=4, cells=3, pool_norm=True),
    "mobile": lambda: Mobile(classes=5, width=0.1, depths=(2, 1, 1, 1, 1, 1), last=16),
    "shufflenet": lambda: ShuffleNetSpace(classes=5, width=0.1, depths=(1, 1, 2, 1), last=16),
}


def trained(space, *, seed=0, affine=False, step=0.05):
    """A supernet and a copy whose every parameter has moved at random."""
    torch.manual_seed(seed)
    initial = SuperNet(space, affine=affine, statistics="tracked")
    current = copy.deepcopy(initial)
    with torch.no_grad():
        for parameter in current.parameters():
            parameter.add_(step * torch.rand(()) * torch.randn_like(parameter))
    return initial, current


def explicit(initial, current, architecture, convention):
    """The angle of the concatenated vectors, as published: one copy of an operation per path."""
    space = current.space
    chosen = {d.name: i for d, i in zip(space.decisions, architecture, strict=True)}
    values = {d.name: d.choices[i] for d, i in zip(space.decisions, architecture, strict=True)}
    cells = {}
    for name in chosen:
        if match := re.fullmatch(r"(\w+)_(\d+)_(\d+)", name):
            cells.setdefault(match[1], {})[int(match[2]), int(match[3])] = name
    repeats, live = dict.fromkeys(chosen, 1), True
    for edges in cells.values():
        repeats.update(dict.fromkeys(edges.values(), 0))
        targets = {t for _, t in edges}
        ends = targets if isinstance(space, Darts) and convention != "abs" else {max(targets)}
        walks, complete = [[n] for n in {s for s, _ in edges} - targets], 0
        while walks:
            walk = walks.pop()
            walks += [
                [*walk, t] for s, t in edges if s == walk[-1] and values[edges[s, t]] != "none"
            ]
            if len(walk) > 1 and walk[-1] in ends:
                complete += 1
                for step in pairwise(walk):
                    repeats[edges[step]] += 1
        live &= complete > 0
    if not live and convention != "abs":
        return 0.0
    weights_alone = convention == "abs" and not isinstance(space, NB201)
    vectors = ([], [])
    for number, supernet in enumerate((initial, current)):
        inside = set()
        for mixed in supernet.operations():
            inside |= set(mixed.parameters())
            candidate = mixed.candidates[str(chosen[mixed.decision])]
            sibling = [m for m in mixed.candidates.modules() if isinstance(m, nn.BatchNorm2d)][-1]
            parts = [p for p in candidate.parameters() if not weights_alone or p.ndim > 1]
            matrix = convention == "rlnas" and not isinstance(space, NB201)
            if type(candidate) is nn.Identity and matrix:
                parts.append(torch.eye(sibling.num_features))
            for module in candidate.modules():
                if isinstance(module, nn.AvgPool2d | nn.MaxPool2d):
                    parts.append(torch.full((sibling.num_features, 3, 3), 1 / 9))
            vectors[number].extend(parts * repeats[mixed.decision])
        fixed = [p for p in supernet.parameters() if p not in inside and convention != "candidates"]
        vectors[number].extend(p for p in fixed if not weights_alone or p.ndim > 1)
    if not vectors[0]:
        return 0.0
    start, end = (torch.cat([p.detach().double().flatten() for p in v]) for v in vectors)
    start, end = start / start.norm(), end / end.norm()
    return float(2 * torch.atan2((start - end).norm(), (start + end).norm()))


@pytest.mark.parametrize("convention", ["abs", "rlnas", "candidates"])
@pytest.mark.parametrize(
    ("name", "affine"), [*((name, True) for name in SPACES), ("nb201", "fixed")]
)
def test_equals_explicit_vectors(name, affine, convention):
    space = SPACES[name]()
    initial, current = trained(space, affine=affine)
    evaluate = AngleEvaluator(initial, current, convention=convention)
    generator = torch.Generator().manual_seed(3)
    architectures = [space.sample(generator=generator) for _ in range(25)]
    expected = [explicit(initial, current, each, convention) for each in architectures]
    assert evaluate.many(architectures).tolist() == pytest.approx(expected, abs=1e-4)
    assert evaluate(architectures[0]) == pytest.approx(expected[0], abs=1e-4)
    assert len(set(expected)) > 10


def test_all_of_nas_bench_201_in_a_tenth_of_a_second():
    space = NB201(width=8, cells=1)
    initial, current = trained(space)
    evaluate = AngleEvaluator(initial, current)
    everything = torch.tensor(list(space))
    found = evaluate.many(everything)
    seconds = []
    for _ in range(5):
        start = time.thread_time()
        evaluate.many(everything)
        seconds.append(time.thread_time() - start)
    assert min(seconds) < 0.1
    generator = torch.Generator().manual_seed(0)
    for place in torch.randint(len(everything), (300,), generator=generator).tolist():
        architecture = tuple(everything[place].tolist())
        expected = explicit(initial, current, architecture, "rlnas")
        assert float(found[place]) == pytest.approx(expected, abs=1e-4)


def test_dead_networks_score_zero_or_their_fixed_part():
    initial, current = trained(NB201(width=4, cells=1))
    dead = [(0,) * 6, (3, 3, 3, 0, 0, 0)]
    assert AngleEvaluator(initial, current).many(dead).tolist() == [0.0, 0.0]
    fixed = AngleEvaluator(initial, current, convention="abs").many(dead)
    assert fixed[0] == fixed[1] > 0
    alone = AngleEvaluator(initial, current, convention="candidates")
    assert alone.many([*dead, (1,) * 6]).tolist() == [0.0, 0.0, 0.0]


def test_works_on_a_part_of_a_split_supernet():
    initial, current = trained(NB201(width=4, cells=1))
    part = current.restrict([(0, 3), *[(1, 2, 3)] * 5])
    whole, own = AngleEvaluator(initial, current), AngleEvaluator(initial, part)
    architecture = (3, 1, 2, 3, 1, 2)
    assert own(architecture) == pytest.approx(whole(architecture), abs=1e-9)
    with pytest.raises(ValueError, match="only"):
        own((1, 1, 2, 3, 1, 2))
    with pytest.raises(ValueError, match="whole supernet"):
        AngleEvaluator(part, current)


def test_the_convention_may_be_ones_own():
    initial, current = trained(NB201(width=4, cells=1))
    skips = (1,) * 6
    with_matrix = AngleEvaluator(initial, current, convention=RLNAS)
    assert with_matrix(skips) < AngleEvaluator(initial, current)(skips)


def test_bad_input():
    initial, current = trained(NB201(width=4, cells=1))
    with pytest.raises(ValueError, match="before its first step"):
        AngleEvaluator(current, current)
    with pytest.raises(ValueError, match="keep a copy"):
        AngleEvaluator(trained(SmallSpace(width=4))[0], current)
    with pytest.raises(ValueError, match="use one of abs, rlnas, candidates"):
        AngleEvaluator(initial, current, convention="cosine")
    with torch.no_grad():
        next(iter(current.operations()[0].candidates["3"].parameters())).fill_(float("nan"))
    evaluate = AngleEvaluator(initial, current)
    assert evaluate((2,) * 6) > 0
    with pytest.raises(ValueError, match=r"architecture \(3, 3, 3, 3, 3, 3\) are not finite"):
        evaluate((3,) * 6)
