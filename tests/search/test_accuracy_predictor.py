"""The accuracy predictor against functions that are known, and a real table."""

import pickle
import time

import numpy as np
import pytest
import torch

from nascence.data import nasbench_macro, nb201
from nascence.metrics import kendall_tau
from nascence.search import AccuracyPredictor, Evaluator, RandomSearch, search
from nascence.search.accuracy_predictor import Model
from nascence.search.table_space import TableSpace
from nascence.spaces import NB201, Architecture, ShuffleNetSpace

SPACE = ShuffleNetSpace()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(count: int, seed: int = 1) -> list[Architecture]:
    generator = seeded(seed)
    return [SPACE.sample(generator=generator) for _ in range(count)]


def additive(architecture: Architecture) -> float:
    """A sum over decisions, different for each choice."""
    return 70 + sum((index - 1.2) * (place + 1) / 10 for place, index in enumerate(architecture))


def fitted(count: int = 300, *, model: Model = "kernel", seed: int = 0) -> AccuracyPredictor:
    known = drawn(count)
    return AccuracyPredictor.fit(
        SPACE, known, [additive(each) for each in known], generator=seeded(seed), model=model
    )


@pytest.mark.parametrize("model", ["kernel", "mlp"])
def test_an_additive_function_is_recovered(model: Model) -> None:
    new = drawn(200, seed=2)
    truth = np.array([additive(each) for each in new])
    predicted = fitted(model=model).predict(new).numpy()
    assert kendall_tau(predicted, truth) > 0.9
    assert np.abs(predicted - truth).mean() < 0.25 * truth.std()  # in the unit of the accuracies


@pytest.mark.parametrize("model", ["kernel", "mlp"])
@pytest.mark.parametrize("name", ["nb201", "nasbench-macro"])
def test_a_table_is_ranked_better_than_by_multiply_adds(name: str, model: Model) -> None:
    table = nb201() if name == "nb201" else nasbench_macro()
    space = NB201() if name == "nb201" else TableSpace(table)
    rows = np.random.default_rng(0).permutation(len(table))[:1200]
    listed = [tuple(each) for each in table.architectures()[rows].tolist()]
    truth, macs = table.accuracies("cifar10")[rows], table.column("flops")[rows]
    predictor = AccuracyPredictor.fit(
        space, listed[:200], truth[:200], generator=seeded(), model=model
    )
    tau = kendall_tau(predictor.predict(listed[200:]).numpy(), truth[200:])
    assert tau > kendall_tau(macs[200:], truth[200:]) + 0.1


@pytest.mark.parametrize("model", ["kernel", "mlp"])
def test_order_does_not_matter_and_the_generator_decides(model: Model) -> None:
    known, new = drawn(40), drawn(10, seed=2)
    values = [additive(each) for each in known]

    def fit(order: list[int]) -> AccuracyPredictor:
        return AccuracyPredictor.fit(
            SPACE,
            [known[place] for place in order],
            [values[place] for place in order],
            generator=seeded(),
            model=model,
        )

    first, other = fit(list(range(40))), fit(torch.randperm(40, generator=seeded(3)).tolist())
    assert torch.equal(first.predict(new), other.predict(new))
    assert first.description == other.description


def test_one_function_has_one_prediction() -> None:
    """Cells of NAS-Bench-201 that are isomorphic, and the mean where their accuracies differ."""
    space, table = NB201(), nb201()
    generator = seeded()
    known = [space.sample(generator=generator) for _ in range(100)]
    values = [float(table.accuracies("cifar10")[table.row(each)]) for each in known]
    predictor = AccuracyPredictor.fit(space, known, values, generator=generator)
    first, second = (1, 0, 3, 0, 2, 0), space.canonical((1, 0, 3, 0, 2, 0))
    assert first != second
    assert predictor(first) == predictor(second)
    twice = AccuracyPredictor.fit(space, known * 2, values * 2, generator=generator)
    assert torch.allclose(twice.predict(known), predictor.predict(known))


def test_higher_ranks_are_higher_accuracies_also_beyond_the_known() -> None:
    values = [1.0, 1.0, 5.0, 6.0, 60.0]
    known = drawn(5)
    predictor = AccuracyPredictor.fit(SPACE, known, values, generator=seeded())
    ranks = np.linspace(-1, 2, 301)
    assert (np.diff(predictor._restore(ranks)) > 0).all()
    assert predictor._restore(np.array([0.2, 0.5, 0.7, 0.9])).tolist() == [1, 5, 6, 60]


def test_equal_accuracies_predict_themselves() -> None:
    known = drawn(10)
    predictor = AccuracyPredictor.fit(SPACE, known, [50.0] * 10, generator=seeded())
    assert predictor.predict(drawn(5, seed=2)).tolist() == [50.0] * 5


def test_standardised_targets_are_linear_in_the_accuracies() -> None:
    known, new = drawn(50), drawn(20, seed=2)
    values = np.array([additive(each) for each in known])
    one, other = (
        AccuracyPredictor.fit(SPACE, known, scaled, generator=seeded(), targets="standardised")
        for scaled in (values, 3 * values + 7)
    )
    assert torch.allclose(3 * one.predict(new) + 7, other.predict(new))


def test_it_is_an_evaluator() -> None:
    predictor: Evaluator = fitted(60)
    strategy = RandomSearch(SPACE, generator=seeded())
    history = search(strategy, predictor, trials=20)
    assert history.best.score == max(predictor(each.architecture) for each in history.candidates)
    assert "60 networks" in fitted(60).description
    assert fitted(60).description != fitted(61).description
    assert fitted(60).predict([]).shape == (0,)


def test_a_thousand_take_seconds() -> None:
    started = time.process_time()
    fitted(1000)
    assert time.process_time() - started < 5


def test_what_cannot_be_fitted_is_refused() -> None:
    known = drawn(5)
    for architectures, values, settings, message in (
        (known, [1.0] * 4, {}, r"5 architectures and accuracies of shape \(4,\)"),
        (known, [1.0, 2, float("nan"), 4, 5], {}, "accuracy at place 2 is nan; leave out"),
        (known[:3], [1.0] * 3, {}, "3 different architectures are too few"),
        ([known[0]] * 5, [1.0] * 5, {}, "1 different architectures are too few"),
        (known, [1.0] * 5, {"model": "forest"}, "model is 'forest'; use 'kernel' or 'mlp'"),
        (known, [1.0] * 5, {"targets": "logits"}, "targets is 'logits'; use 'ranks' or"),
        ([(9,) * 20] * 5, [1.0] * 5, {}, "has index 9"),
    ):
        with pytest.raises(ValueError, match=message):
            AccuracyPredictor.fit(SPACE, architectures, values, generator=seeded(), **settings)
    with pytest.raises(ValueError, match="decision"):
        fitted(10).predict([(9,) * 20])


@pytest.mark.parametrize("model", ["kernel", "mlp"])
@pytest.mark.parametrize("targets", ["ranks", "standardised"])
def test_predictors_can_be_sent_to_another_process(model, targets) -> None:
    generator = torch.Generator().manual_seed(0)
    known = [SPACE.sample(generator=generator) for _ in range(10)]
    predictor = AccuracyPredictor.fit(
        SPACE, known, range(10), generator=generator, model=model, targets=targets
    )
    copy = pickle.loads(pickle.dumps(predictor))
    assert torch.equal(copy.predict(known), predictor.predict(known))
