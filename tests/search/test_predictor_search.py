"""The search by predictor: that it proposes what its predictor holds for the best."""

from collections.abc import Iterable

import pytest

from nascence.data import nasbench_macro, nb201
from nascence.search import (
    AccuracyPredictor,
    Box,
    Limit,
    Limits,
    PredictorSearch,
    RandomSearch,
    TableEvaluator,
    TableSpace,
    open_study,
    search,
)
from nascence.spaces import NB201, Architecture, ShuffleNetSpace, SmallSpace
from tests.search.strategies_for_tests import additive, run, seeded

SPACE = ShuffleNetSpace()


def test_a_batch_is_the_best_of_all_that_are_left() -> None:
    """Every architecture of a small space, predicted by the predictor of the same scores."""
    space = SmallSpace(width=4)
    strategy = PredictorSearch(space, generator=seeded(), initial=30, batch=7)
    known = run(strategy, 30)
    predictor = AccuracyPredictor.fit(
        space, known, [additive(each) for each in known], generator=seeded()
    )
    seen = {space.canonical(each) for each in known}
    functions = {space.canonical(each) for each in space} - seen
    batch = run(strategy, 7)
    assert [predictor(each) for each in batch] == sorted(
        (predictor(each) for each in functions), reverse=True
    )[:7]
    run(strategy, 80)  # at 117 a batch has eleven
    assert len(strategy._queue) in range(11)


def test_evolution_finds_what_is_predicted_to_be_better_than_all_known() -> None:
    strategy = PredictorSearch(SPACE, generator=seeded(), initial=40, batch=5, candidates=300)
    known = run(strategy, 40)
    proposed = run(strategy, 5)
    assert sum(map(additive, proposed)) / 5 > max(map(additive, known))


@pytest.mark.parametrize("space", [SPACE, NB201(), SmallSpace(width=4)])
def test_scores_end_higher_than_those_of_random_search(space) -> None:
    found = run(PredictorSearch(space, generator=seeded(), candidates=200), 40)
    drawn = run(RandomSearch(space, generator=seeded()), 40)
    assert sum(map(additive, found[20:])) / 20 > sum(map(additive, drawn[20:])) / 20 + 3
    assert len({space.canonical(each) for each in found}) == 40


def test_the_optimum_of_a_table_is_found() -> None:
    """The best network of NAS-Bench-Macro, as published, among 6,561."""
    table = nasbench_macro()
    space = TableSpace(table)
    history = search(
        PredictorSearch(space, generator=seeded()), TableEvaluator(space, table), trials=120
    )
    published = table.row(tuple(map(int, "22212202")))  # as good as 22212220, to four decimals
    assert history.best.score == table.accuracies()[published] == table.accuracies().max()


def test_limits_hold_in_large_spaces_too() -> None:
    for space in (SPACE, NB201()):
        drawn = sorted(space.macs(space.sample(generator=seeded(seed))) for seed in range(20))
        limits = Limits(Limit("macs", space.macs, drawn[5]))
        strategy = PredictorSearch(space, generator=seeded(), candidates=100, allowed=limits)
        assert all(space.macs(each) <= drawn[5] for each in run(strategy, 32))


def test_a_study_goes_on_as_if_it_had_not_stopped(tmp_path) -> None:
    table, space = nb201(), NB201()

    def searched(trials: Iterable[int], name: str) -> list[Architecture]:
        for count in trials:
            study = open_study(tmp_path / "journal", space=space, name=name)
            strategy = PredictorSearch(space, generator=seeded())
            history = search(strategy, TableEvaluator(space, table), trials=count, study=study)
        return [candidate.architecture for candidate in history.candidates]

    assert searched([23, 31, 40], "in three") == searched([40], "at once")


def test_scores_of_others_count_and_are_not_proposed() -> None:
    """What another search told is left out, even if it waits in the batch."""
    strategy = PredictorSearch(SPACE, generator=seeded(), initial=20, batch=5, candidates=100)
    run(strategy, 21)
    waiting = strategy._queue[-1]
    strategy.tell(waiting, 0.0)
    assert strategy.ask() != waiting


def test_scores_that_are_not_finite_are_borne() -> None:
    def broken(architecture: Architecture) -> float:
        return float("-inf") if architecture[0] == 0 else additive(architecture)

    asked = run(PredictorSearch(SPACE, generator=seeded(), candidates=100), 40, broken)
    assert len(set(asked)) == 40


def test_a_space_is_searched_to_its_end() -> None:
    space = SmallSpace(width=4)
    history = search(PredictorSearch(space, generator=seeded()), additive, trials=300)
    assert len(history) == 253


def test_an_evolution_that_meets_less_than_a_generation_is_enough() -> None:
    def allowed(architecture: Architecture) -> bool:
        return architecture[:2] == (2, 3)

    space = SmallSpace(width=4)
    left = {space.canonical(each) for each in space if allowed(each)}
    strategy = PredictorSearch(
        space, generator=seeded(), initial=8, batch=40, allowed=allowed, most_listed=0
    )
    run(strategy, 8)
    assert 0 < len(set(strategy._best())) <= len(left) - 8 < 40
    assert len(search(strategy, additive, trials=8 + len(left)).candidates) >= len(left) - 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"initial": 3}, "initial is 3, batch 5 and candidates 1000; give at least 4, 1 and 1"),
        ({"batch": 0}, "batch 0"),
        ({"candidates": 0}, "candidates 0;"),
        ({"distinct": "nothing"}, "proposes what has no score yet"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PredictorSearch(SPACE, generator=seeded(), **settings)


def test_a_space_without_crossover_is_refused() -> None:
    class Plain(Box):
        crossover = None  # type: ignore[assignment]

    with pytest.raises(ValueError, match="has no crossover"):
        PredictorSearch(Plain(0, 1, dimensions=2), generator=seeded())  # type: ignore[arg-type]
