"""Where to split: the cut against all partitions, the gradients against a network of one path."""

from itertools import permutations

import pytest
import torch
from hypothesis import given as examples
from hypothesis import strategies as st
from torch.nn import functional

from nascence.spaces import ElasticMobile, Stage
from nascence.supernets import (
    ElasticSuperNet,
    SuperNet,
    at_random,
    balanced_cut,
    by_gradient_matching,
    gradient_matching,
    split,
    split_on,
)

IMAGES = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(8) % 2


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@examples(count=st.integers(2, 6), seed=st.integers(0, 1000))
def test_cut_is_the_least_of_all_balanced_ones(count: int, seed: int) -> None:
    similarity = torch.rand(count, count, generator=seeded(seed))
    similarity = similarity + similarity.T
    means = []
    for order in permutations(range(count)):
        first, second = order[: count // 2], order[count // 2 :]
        means.append(sum(float(similarity[a, b]) for a in first for b in second))
        means[-1] /= len(first) * len(second)
    groups, cut = balanced_cut(similarity)
    assert cut == pytest.approx(min(means), rel=1e-5)
    assert sorted(groups[0] + groups[1]) == list(range(count))
    assert abs(len(groups[0]) - len(groups[1])) <= 1
    assert groups[0][0] == 0


def test_similarity_is_the_cosine_of_gradients_of_shared_weights(supernet: SuperNet) -> None:
    """The path is fixed, so the gradients can be taken from extracted networks, by name."""
    path = (3, 2, 4, 2)

    def sampler(*_: object, generator: torch.Generator) -> list[tuple[int, ...]]:
        return [path]

    matches = gradient_matching(supernet, [(IMAGES, LABELS)], generator=seeded(), sampler=sampler)
    assert [match.cut for match in matches] == sorted(match.cut for match in matches)
    match = next(match for match in matches if match.decision == "edge_1_3")
    shared: list[dict[str, torch.Tensor]] = []
    for index in range(6):
        network = supernet.extract((path[0], path[1], index, path[3]))
        names = [name for name, _ in network.named_parameters() if "1_3" not in name]
        loss = functional.cross_entropy(network(IMAGES), LABELS)
        wanted = [network.get_parameter(name) for name in names]
        shared.append(dict(zip(names, torch.autograd.grad(loss, wanted), strict=True)))
    for a in range(6):
        for b in range(6):
            one, other = shared[a], shared[b]
            inner = sum(float((one[n] * other[n]).sum()) for n in one.keys() & other.keys())
            norms = [sum(float(g.square().sum()) for g in each.values()) for each in (one, other)]
            expected = inner / (norms[0] * norms[1]) ** 0.5
            assert float(match.similarity[a, b]) == pytest.approx(expected, abs=2e-3)
    assert balanced_cut(match.similarity)[1] == match.cut


def test_matching_leaves_the_supernet_and_knows_what_is_left(supernet: SuperNet) -> None:
    part = split(supernet, {"edge_0_1": [(0, 1), (2, 4, 5), (3,)]})
    before = {name: value.clone() for name, value in part[1].state_dict().items()}
    batches = [(IMAGES, LABELS)] * 2
    matches = gradient_matching(part[1], batches, generator=seeded())
    again = gradient_matching(part[1], batches, generator=seeded())
    assert [m.groups for m in matches] == [m.groups for m in again]
    found = {match.decision: match for match in matches}
    assert found["edge_0_1"].choices == (2, 4, 5)
    assert sorted(sum(found["edge_0_1"].groups, ())) == [2, 4, 5]
    assert len(gradient_matching(part[2], batches, generator=seeded())) == 3
    assert all(torch.equal(value, before[name]) for name, value in part[1].state_dict().items())
    assert all(parameter.grad is None for parameter in part[1].parameters())


def test_criteria_give_what_split_takes(supernet: SuperNet) -> None:
    batches = [(IMAGES, LABELS)]
    assert len(split(supernet, split_on(["edge_0_1", "edge_0_2"])(supernet, seeded()))) == 36
    drawn = at_random(2)(supernet, seeded())
    assert len(drawn) == 2
    assert drawn == at_random(2)(supernet, seeded())
    assert len(split(supernet, drawn)) == 36
    matched = by_gradient_matching(batches)(supernet, seeded())
    best = gradient_matching(supernet, batches, generator=seeded())[0]
    assert matched == {best.decision: best.groups}
    assert [part.choices.count(tuple(range(6))) for part in split(supernet, matched)] == [3, 3]


def test_random_splits_are_uniform(supernet: SuperNet) -> None:
    part = split(supernet, ["edge_0_2"])[0]
    generator = seeded()
    names = [next(iter(at_random()(part, generator))) for _ in range(600)]
    assert set(names) == {"edge_0_1", "edge_1_3", "edge_2_3"}
    # 200 expected of each; five standard deviations are 58.
    assert all(abs(names.count(name) - 200) < 58 for name in set(names))


def test_impossible_settings_are_named(supernet: SuperNet) -> None:
    with pytest.raises(ValueError, match="no decision 'edge_9_9'"):
        split_on(["edge_9_9"])(supernet, seeded())
    for criterion in (at_random(5), by_gradient_matching([(IMAGES, LABELS)], count=5)):
        with pytest.raises(ValueError, match="count is 5; this supernet has 4 decisions"):
            criterion(supernet, seeded())
    with pytest.raises(ValueError, match="batches is empty"):
        gradient_matching(supernet, [], generator=seeded())
    with pytest.raises(ValueError, match="similarity is"):
        balanced_cut(torch.ones(1, 1))


def test_slices_are_compared_by_the_gradients_of_all_their_weights() -> None:
    """Kernels of one block, against a plain loop: where a choice uses nothing, zeros."""
    space = ElasticMobile(
        classes=2, stages=(Stage(8, 2),), depths=(1,), kernels=(3, 5), expansions=(2, 3),
        resolutions=(), final=8, last=8,
    )  # fmt: skip
    torch.manual_seed(0)
    supernet = ElasticSuperNet(space).eval()
    images, labels = torch.randn(6, 3, 8, 8), torch.arange(6) % 2
    matches = gradient_matching(
        supernet, [(images, labels)], generator=torch.Generator().manual_seed(1)
    )
    assert {match.decision for match in matches} == {
        "stage_1_block_1_kernel", "stage_1_block_1_expansion"
    }  # fmt: skip
    match = next(each for each in matches if each.decision.endswith("expansion"))
    similarities = []
    for kernel in (0, 1):
        rows = []
        for expansion in (0, 1):
            loss = functional.cross_entropy(supernet(images, (0, kernel, expansion)), labels)
            found = torch.autograd.grad(
                loss, list(supernet.parameters()), allow_unused=True, materialize_grads=True
            )
            rows.append(torch.cat([each.flatten() for each in found]))
        similarities.append(functional.cosine_similarity(*rows, dim=0))
    assert any(torch.isclose(match.similarity[0, 1], each, atol=1e-5) for each in similarities)
