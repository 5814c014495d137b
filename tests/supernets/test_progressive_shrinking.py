"""Progressive shrinking: what each phase draws and learns from, and its resumption."""

import copy
import pickle
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from nascence.core.resumable import CheckpointError
from nascence.data import Dataset
from nascence.spaces import ElasticMobile, Stage
from nascence.supernets import (
    PHASES,
    Distillation,
    ElasticPaths,
    ElasticSuperNet,
    OneShotEvaluator,
    Phase,
    progressive_shrinking,
    split,
    train_sub_supernets,
    train_supernet,
)

SPACE = ElasticMobile(
    classes=2,
    stages=(Stage(8, 2), Stage(8, 2)),
    depths=(1, 2),
    expansions=(2, 3, 4),
    resolutions=(6, 8),
    final=8,
    last=8,
    dropout=0.0,
)
SHORT = (
    Phase("full", 2, kernels=1, depths=1, expansions=1, distil=False),
    Phase("kernel", 1, 0.5, depths=1, expansions=1),
    Phase("expansion", 1, 0.5, paths=2, sort=True),
)
train = partial(progressive_shrinking, batch_size=16, crop=0, flip=False)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def elastic() -> ElasticSuperNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ElasticSuperNet(SPACE)


def same(first: ElasticSuperNet, second: ElasticSuperNet) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_phases_open_choices_in_the_published_order() -> None:
    """Section 3.3 and the released code: kernel; depth 3, 4 and 2, 3, 4; expansion likewise."""
    space = ElasticMobile()
    choices = tuple(tuple(range(len(decision.choices))) for decision in space.decisions)
    drawn = []
    for phase in PHASES:
        opened = dict(zip(space.kinds, phase.opened(space, choices), strict=True))
        drawn.append((
            [space.kernels[index] for index in opened["kernel"]],
            [space.depths[index] for index in opened["depth"]],
            [space.expansions[index] for index in opened["expansion"]],
            phase.paths,
        ))  # fmt: skip
        assert len(opened["resolution"]) == 25  # elastic throughout
    assert drawn == [
        ([7], [4], [6], 1),
        ([3, 5, 7], [4], [6], 1),
        ([3, 5, 7], [3, 4], [6], 2),
        ([3, 5, 7], [2, 3, 4], [6], 2),
        ([3, 5, 7], [2, 3, 4], [4, 6], 4),
        ([3, 5, 7], [2, 3, 4], [3, 4, 6], 4),
    ]
    assert [phase.share for phase in PHASES] == [180, 120, 25, 120, 25, 120]
    assert [phase.distil for phase in PHASES] == [False] + 5 * [True]


def test_networks_of_a_step_share_a_resolution(elastic: ElasticSuperNet) -> None:
    sampler = ElasticPaths(Phase("all", 1, paths=3, expansions=2))
    generator = seeded()
    steps = [sampler(SPACE, elastic.choices, generator=generator) for _ in range(60)]
    assert all(len(paths) == 3 and len({path[0] for path in paths}) == 1 for paths in steps)
    assert {path[0] for paths in steps for path in paths} == {0, 1}
    for place, (kind, decision) in enumerate(zip(SPACE.kinds, SPACE.decisions, strict=True)):
        found = {path[place] for paths in steps for path in paths}
        least = 1 if kind == "expansion" else 0
        assert found == set(range(least, len(decision.choices)))


def test_parts_draw_what_they_hold(elastic: ElasticSuperNet) -> None:
    small = split(elastic, {"stage_1_block_1_kernel": [(0, 1), (2,)]})[0]
    phase = Phase("full", 1, kernels=1, depths=1, expansions=1)
    (path,) = ElasticPaths(phase)(SPACE, small.choices, generator=seeded())
    assert SPACE.values(path)["stage_1_block_1_kernel"] == 5
    assert SPACE.values(path)["stage_1_block_2_kernel"] == 7


def test_distillation_loss_against_its_formula(elastic: ElasticSuperNet) -> None:
    """ratio · KL(teacher, path) plus the entropy of the teacher, plus cross-entropy, per path."""
    generator = seeded()
    images, labels = torch.randn(6, 3, 8, 8, generator=generator), torch.arange(6) % 2
    teacher = copy.deepcopy(elastic).eval()
    with torch.no_grad():
        teacher.network.classifier.weight.mul_(30)
    model = elastic.eval()
    paths = [SPACE.sample(generator=generator) for _ in range(3)]
    loss = Distillation(teacher, SPACE.largest, 0.7)(model, images, labels, paths)
    expected = 0.0
    for path in paths:
        target = teacher(images, (path[0], *SPACE.largest[1:])).softmax(1)
        logits = model(images, path).log_softmax(1)
        entropy = -(target * target.log()).sum(1).mean()
        divergence = functional.kl_div(logits, target, reduction="batchmean")
        expected += 0.7 * (divergence + entropy) - logits[torch.arange(6), labels].mean()
    torch.testing.assert_close(loss, torch.as_tensor(expected))
    loss.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_student_equal_to_its_teacher_has_no_soft_gradient(elastic: ElasticSuperNet) -> None:
    """The gradient of CE(teacher, path) is softmax(path) - softmax(teacher): zero when equal."""
    images, labels = torch.randn(4, 3, 8, 8, generator=seeded()), torch.zeros(4, dtype=torch.int64)
    model = elastic.eval()
    gradients = []
    for ratio in (0.0, 5.0):
        loss = Distillation(copy.deepcopy(model), SPACE.largest, ratio)(
            model, images, labels, [SPACE.largest]
        )
        gradients.append(torch.autograd.grad(loss, model.network.classifier.weight)[0])
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-5)


def test_a_training_is_its_phases_one_after_the_other(
    elastic: ElasticSuperNet, brightness: Dataset
) -> None:
    """Against the phases called by hand, the teacher that of the first, channels sorted."""
    before = copy.deepcopy(elastic)
    found = train(elastic, brightness, generator=seeded(), steps=7, phases=SHORT, learning_rate=0.2)
    assert same(elastic, before)
    assert found.steps == 7
    own = partial(
        train_supernet, batch_size=16, crop=0, flip=False, final_learning_rate=0.0,
        weight_decay=3e-5,
    )  # fmt: skip
    generator = seeded()
    full = own(elastic, brightness, generator=generator, steps=3, sampler=ElasticPaths(SHORT[0]),
               learning_rate=0.2).supernet  # fmt: skip
    loss = Distillation(full, SPACE.largest)
    kernel = own(full, brightness, generator=generator, steps=2, sampler=ElasticPaths(SHORT[1]),
                 learning_rate=0.1, loss=loss).supernet  # fmt: skip
    sorted_ = kernel.sorted_channels()
    last = own(sorted_, brightness, generator=generator, steps=2, sampler=ElasticPaths(SHORT[2]),
               learning_rate=0.1, loss=loss).supernet  # fmt: skip
    assert same(found.supernet, last)
    assert not same(sorted_, kernel)


def test_resumed_training_is_bit_equal(
    elastic: ElasticSuperNet, brightness: Dataset, tmp_path: Path
) -> None:
    whole = train(elastic, brightness, generator=seeded(), steps=9, phases=SHORT)
    calls = 0

    def interrupt(fraction: float, _: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 6:  # in the second phase
            raise KeyboardInterrupt

    path = tmp_path / "leaf.pt"
    again = partial(train, elastic, brightness, steps=9, phases=SHORT, checkpoint=path)
    with pytest.raises(KeyboardInterrupt):
        again(generator=seeded(), progress=interrupt)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["leaf-full.pt", "leaf-kernel.pt"]
    resumed = again(generator=seeded())
    assert same(resumed.supernet, whole.supernet)
    finished = again(generator=seeded())
    assert same(finished.supernet, whole.supernet)
    with pytest.raises(CheckpointError, match="distillation"):
        again(generator=seeded(), distillation=0.5)


def test_leaves_take_it_in_place_of_a_plain_training(
    elastic: ElasticSuperNet, brightness: Dataset, tmp_path: Path
) -> None:
    """Each part by itself, with what a worker process gets through a pickle."""
    parts = split(elastic, ["stage_1_depth"])
    settings: dict = {"train": progressive_shrinking, "steps": 3, "phases": SHORT, "batch_size": 16}
    here = train_sub_supernets(parts, brightness, seed=3, out=tmp_path, **settings)
    parts, settings = pickle.loads(pickle.dumps((parts, settings)))
    there = train_sub_supernets(parts, brightness, seed=3, **settings)
    for one, other in zip(here, there, strict=True):
        assert same(one.supernet, other.supernet)
        assert one.steps == other.steps == 3
    assert not same(here[0].supernet, here[1].supernet)
    assert len(list(tmp_path.iterdir())) == len(parts) * len(SHORT)


def test_a_teacher_can_be_given(elastic: ElasticSuperNet, brightness: Dataset) -> None:
    """A supernet split after its first phases: the parts go on with the whole as teacher."""
    whole = train(elastic, brightness, generator=seeded(), steps=4, phases=SHORT[:2]).supernet
    part = split(whole, ["stage_1_depth"])[0]
    before = copy.deepcopy(whole)
    later = partial(train, part, brightness, steps=2, phases=SHORT[2:])
    taught = later(generator=seeded(), teacher=whole).supernet
    assert same(whole, before)
    alone = later(generator=seeded()).supernet
    without = later(generator=seeded(), teacher=whole, distillation=0.0).supernet
    assert same(alone, without)
    assert not same(taught, alone)


def test_time_ends_a_training(elastic: ElasticSuperNet, brightness: Dataset) -> None:
    found = train(elastic, brightness, generator=seeded(), seconds=0.4, phases=SHORT)
    assert found.steps >= len(SHORT)
    assert found.seconds < 3


def test_training_learns(elastic: ElasticSuperNet, brightness: Dataset) -> None:
    trained = train(elastic, brightness, generator=seeded(), steps=60, phases=SHORT).supernet
    images = brightness.normalise(brightness.validation.images)
    score = OneShotEvaluator(trained, images, brightness.validation.labels, recalibration=[images])
    generator = seeded(5)
    assert min(score(SPACE.sample(generator=generator)) for _ in range(5)) > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"phases": ()}, "0 phases"),
        ({"phases": (SHORT[0], SHORT[0])}, "different names"),
        ({"steps": 2}, "each at least one"),
        ({"distillation": -1.0}, "0 or more"),
        ({"phases": (Phase("none", 1, paths=0),)}, "1 or more"),
        ({"phases": (Phase("none", 0),)}, "share above"),
    ],
)
def test_impossible_settings(
    settings: dict, message: str, elastic: ElasticSuperNet, brightness: Dataset
) -> None:
    with pytest.raises(ValueError, match=message):
        train(elastic, brightness, generator=seeded(), **{"steps": 5, "phases": SHORT, **settings})
