"""Searches kept as Optuna studies in a journal file, from which they resume."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nascence.core.files import understood
from nascence.search.claims import Claims
from nascence.search.history import Candidate, History
from nascence.spaces import SearchSpace

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


def open_study(
    path: str | os.PathLike[str],
    *,
    space: SearchSpace,
    name: str,
    direction: Literal["maximize", "minimize"] = "maximize",
    costs: tuple[str, ...] = (),
) -> "Study":
    """Open the study ``name`` in the journal file ``path``; create what does not exist.

    A last line that was cut off while it was written, as by a kill, is removed: the trial that
    it was to record is not in the history, and a search evaluates it again.

    Args:
        path: the journal; it can hold more than one study.
        space: the space that the study searches.
        name: name of the study in the journal.
        direction: ``"maximize"`` or ``"minimize"``, of the score.
        costs: names of what to minimise beside it: the study then has several objectives.

    Raises:
        ValueError: a file that is not a journal; a study made with another space, direction or
            other costs.
        OSError: a file that cannot be read or written.
    """
    from optuna import load_study
    from optuna.storages import JournalStorage

    from nascence.search.journal import open_journal

    if direction not in ("maximize", "minimize"):
        raise ValueError(f"direction is {direction!r}; use 'maximize' or 'minimize'")
    with quiet():
        journal = open_journal(Path(path))
        with understood(path, remedy="give another folder for the study"):
            storage = JournalStorage(journal)  # which reads all entries
        try:
            study = load_study(study_name=name, storage=storage)
        except KeyError:
            study = _created(name, storage, direction, len(costs))
        if direction_of(study) != direction:
            raise ValueError(
                f"study {name!r} in {path} is to {direction_of(study)} the score, not to "
                f"{direction} it; open it that way, or use another name"
            )
        bind(study, "space", space.description)
        bind_costs(study, costs)
    return study


def _created(name: str, storage: Any, direction: str, costs: int) -> "Study":
    """A new study, or the one that another process has made in the meantime."""
    from optuna import create_study
    from optuna.study import StudyDirection

    ways = [direction.upper(), *costs * ["MINIMIZE"]]
    return create_study(
        study_name=name,
        storage=storage,
        directions=[getattr(StudyDirection, way) for way in ways],
        load_if_exists=True,
    )


def direction_of(study: "Study") -> str:
    """Return the direction of the score, ``"maximize"`` or ``"minimize"``."""
    return study.directions[0].name.lower()


def bind(study: "Study", key: str, value: str) -> None:
    """Note with which space, strategy or evaluator a study was made, or raise ValueError."""
    before = study.user_attrs.get(key)
    if before is None:
        study.set_user_attr(key, value)
    elif before != value:
        raise ValueError(
            f"study {study.study_name!r} was made with the {key} {before} and is now given "
            f"{value}; give what it was made with, or use another study name"
        )


def bind_costs(study: "Study", costs: tuple[str, ...]) -> None:
    """Note which costs a study minimises beside the score, or raise ValueError."""
    if len(study.directions) == 1 + len(costs):
        if costs:
            bind(study, "costs", ", ".join(costs))
        return
    before = study.user_attrs.get("costs", "none")
    raise ValueError(
        f"study {study.study_name!r} was made with the costs {before} and is now given "
        f"{', '.join(costs) or 'none'}; give what it was made with, or use another study name"
    )


def shared_seed(study: "Study", seed: int) -> int:
    """Return the seed of the evaluator of a shared study: that of the search that began it."""
    claims = open_claims(study)
    with claims.held():
        first = study.get_trials(deepcopy=False)[:1]
        noted = study.user_attrs.get("evaluator seed", *(t.user_attrs.get("seed") for t in first))
        if noted is None:
            study.set_user_attr("evaluator seed", seed)
    claims.close()
    return seed if noted is None else int(noted)


def open_claims(study: "Study") -> Claims:
    """Return a new claimant on a study.

    Raises:
        ValueError: The study is not in a journal that `open_study` opened.
    """
    path = getattr(getattr(study._storage, "_backend", None), "path", None)
    if path is None:
        raise ValueError("shared searches need a study in a journal; open one with open_study")
    return Claims(path.with_name(f"{path.name}.claims"))


def read_history(study: "Study", *, space: SearchSpace) -> History:
    """Return the completed trials of a study as a history, in their order.

    Raises:
        ValueError: A trial is not an architecture of ``space``.
    """
    candidates = candidates_of(study, study.get_trials(deepcopy=False), space)
    names = study.user_attrs.get("costs")
    return History(
        tuple(candidates), direction_of(study), tuple(names.split(", ")) if names else ()
    )


def candidates_of(
    study: "Study", trials: "Sequence[FrozenTrial]", space: SearchSpace
) -> list[Candidate]:
    """Return the completed ones of a study's trials, numbered from 0; see `read_history`.

    Raises:
        ValueError: a trial is not an architecture of the space.
    """
    from optuna.trial import TrialState

    candidates: list[Candidate] = []
    for trial in trials:
        if trial.state != TrialState.COMPLETE:
            continue
        try:
            architecture = tuple(
                decision.choices.index(trial.params[decision.name]) for decision in space.decisions
            )
        except (KeyError, ValueError, TypeError):
            raise ValueError(
                f"trial {trial.number} of study {study.study_name!r} is not an architecture of "
                f"{space.description}"
            ) from None
        with understood(f"trial {trial.number} of study {study.study_name!r}"):
            score, *costs = map(float, trial.values)
            seconds = float(trial.user_attrs.get("seconds", 0.0))
        number = len(candidates)
        candidates.append(Candidate(architecture, score, seconds, number, tuple(costs)))
    return candidates


def trials_from(study: "Study", start: int) -> "list[FrozenTrial]":
    """Return the trials from a number on, in a time that does not grow with those before it."""
    storage = study._storage
    found: list[FrozenTrial] = []
    while True:
        try:
            place = storage.get_trial_id_from_study_id_trial_number(
                study._study_id, start + len(found)
            )
        except KeyError:
            return found
        found.append(storage.get_trial(place))


def record(
    study: "Study", candidate: Candidate, *, space: SearchSpace, attributes: Mapping[str, Any]
) -> None:
    """Add a candidate to a study as one completed trial: in a journal, one line."""
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import create_trial

    trial = create_trial(
        values=[candidate.score, *candidate.costs],
        params={
            decision.name: decision.choices[index]
            for index, decision in zip(candidate.architecture, space.decisions, strict=True)
        },
        distributions={
            decision.name: CategoricalDistribution(decision.choices) for decision in space.decisions
        },
        user_attrs={
            "architecture": space.format(candidate.architecture),
            "seconds": candidate.seconds,
            **attributes,
        },
    )
    trial.datetime_complete = datetime.now()
    trial.datetime_start = trial.datetime_complete - timedelta(seconds=candidate.seconds)
    with quiet():
        study.add_trial(trial)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's messages off standard error, and leave its verbosity as it was."""
    from optuna import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
