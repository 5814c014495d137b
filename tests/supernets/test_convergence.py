"""SPOS and RLNAS as whole jobs: supernet, evaluator, evolution under a limit, by name."""

import copy

import pytest
import torch
from torch import nn

from nascence.data import Dataset, Split
from nascence.jobs.evaluators import Sources, evaluator_named
from nascence.search import CrossoverEvolution, Limit, Limits, RankSumEvaluator, search
from nascence.spaces import ShuffleNetSpace, SmallSpace
from nascence.supernets.convergence import convergence_evaluator

SPACE = SmallSpace(classes=2, width=4)


def colours(size, seed):
    """Images that are mostly red or mostly blue: a task whose labels the images tell."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (size,), generator=generator)
    shades = torch.tensor([[150, 50, 0], [0, 50, 150]])[labels].view(size, 3, 1, 1)
    noise = torch.randint(100, (size, 3, 8, 8), generator=generator)
    return Split((shades + noise).to(torch.uint8), labels)


def data():
    names = ("red", "blue")
    return Dataset(
        "colours", colours(400, 0), colours(100, 1), names, (0.5,) * 3, (0.3,) * 3, (), "colours"
    )


def test_accuracy_has_statistics_of_the_path_s_own(tmp_path):
    evaluate = convergence_evaluator("accuracy", SPACE, data(), steps=4, seed=0, out=tmp_path)
    architecture = (3, 2, 1, 3)
    network = copy.deepcopy(evaluate.supernet.extract(architecture)).train()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = None  # the cumulative mean
    split = data().validation
    with torch.no_grad():
        for batch in evaluate.recalibration:
            network(batch)
        logits = network.eval()(data().normalise(split.images))
    expected = (logits.argmax(1) == split.labels).float().mean().item()
    assert evaluate(architecture) == pytest.approx(expected)
    again = convergence_evaluator("accuracy", SPACE, data(), steps=4, seed=0, out=tmp_path)
    assert again(architecture) == evaluate(architecture)
    assert again.description == evaluate.description


def test_rlnas_needs_no_labels_and_no_forward_pass():
    evaluate = convergence_evaluator("rlnas", SPACE, data(), steps=8, seed=0)
    other = convergence_evaluator("angle", SPACE, data(), steps=8, seed=0)
    assert evaluate.description != other.description
    strategy = CrossoverEvolution(
        SPACE, generator=torch.Generator().manual_seed(0), population=20, crossovers=10, mutants=10
    )
    history = search(strategy, evaluate, trials=100)
    scores = evaluate.many([tuple(each) for each in SPACE])
    assert history.best.score >= float(scores.sort().values[-8])


def test_spos_keeps_its_limit_on_shufflenet():
    space = ShuffleNetSpace(
        classes=2, width=0.1, depths=(1, 1, 2, 1), stem_stride=1, strides=(1, 2, 2, 1), last=16
    )
    most = sum(space.macs(each, side=8) for each in ((0,) * 5, (3,) * 5)) / 2
    evaluate = convergence_evaluator("accuracy", space, data(), steps=6, seed=0)
    strategy = CrossoverEvolution(
        space,
        generator=torch.Generator().manual_seed(0),
        population=6,
        top=2,
        crossovers=3,
        mutants=3,
        allowed=Limits(Limit("macs", lambda each: space.macs(each, side=8), most)),
    )
    history = search(strategy, evaluate, trials=14)
    assert len(history) == 14
    assert all(space.macs(each.architecture, side=8) <= most for each in history.candidates)


def test_by_name_alone_and_summed_by_rank(tmp_path):
    sources = Sources(None, "", data(), 16, 3, tmp_path, 0)
    assert evaluator_named("rlnas", SPACE, sources).many(list(SPACE)).max() > 0
    both = evaluator_named("angle+accuracy", SPACE, sources)
    assert isinstance(both, RankSumEvaluator)
    assert 0 <= both((3,) * 4) <= 2


def test_what_is_left_of_a_space_is_searched_by_the_same_evaluator():
    left = SPACE.restricted([(0, 3)] * 4)
    evaluate = convergence_evaluator("angle", SPACE, data(), steps=3, seed=0)
    strategy = CrossoverEvolution(
        left,
        generator=torch.Generator().manual_seed(0),
        population=4,
        top=2,
        crossovers=2,
        mutants=2,
    )
    history = search(strategy, left.scored(evaluate), trials=5)
    assert set(left.widen(history.best.architecture)) <= {0, 3}


def test_bad_input():
    with pytest.raises(ValueError, match="use 'angle', 'accuracy' or 'rlnas'"):
        convergence_evaluator("loss", SPACE, data(), steps=3, seed=0)
    with pytest.raises(ValueError, match="has no supernet"):
        convergence_evaluator("angle", object(), data(), steps=3, seed=0)
    sources = Sources(None, "", None, 16, 3, None, 0)
    with pytest.raises(ValueError, match="angle needs images"):
        evaluator_named("angle", SPACE, sources)
