"""The contestants of a comparison: learned optimizers, and hand-made ones tuned by trials."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from nascence import registry
from nascence.optim.baselines.first_order import Adam, NAdamW
from nascence.optim.baselines.opt_list import load_opt_list
from nascence.optim.baselines.tuned_adam import (
    LEARNING_RATES,
    Adam8p,
    NAdamWCosine,
    learning_rates,
    sample_adam8p,
)
from nascence.optim.checkpoint import create, load, read_card
from nascence.optim.contract import LearnedOptimizer
from nascence.params import Params

NAMES = ("learned", "untrained", "adam", "nadamw", "adam-lr", "adam8p", "opt-list")
# Adam8p tries the same random settings in every comparison.
ADAM8P_SEED = 8


@dataclass(frozen=True, eq=False)
class Contestant:
    """An optimizer and its settings.

    Attributes:
        name: What it is called, unique in a comparison.
        optimizer: The rule; ``theta`` None stands for its own setting.
        theta: Settings ``(settings, ...)`` to try, in this order.
        trials: Numbers of leading settings among which the best is reported.
        hand_made: Whether it counts towards the best result of hand-made optimizers.
    """

    name: str
    optimizer: LearnedOptimizer
    theta: Params | None = None
    trials: tuple[int, ...] = (1,)
    hand_made: bool = True

    @property
    def fingerprint(self) -> str:
        """A digest of the rule and all settings."""
        digest = hashlib.blake2b(digest_size=8)
        digest.update(f"{type(self.optimizer).__name__} {self.optimizer.settings}".encode())
        held = dict(self.optimizer.named_parameters()) if self.theta is None else self.theta
        for name in sorted(held):
            digest.update(name.encode())
            digest.update(held[name].detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def contestants(
    names: Sequence[str] = NAMES,
    *,
    weights: Sequence[str] = ("optimizer-small",),
    trials: Sequence[int] = (1, 10),
) -> list[Contestant]:
    """Those named, among `NAMES` and the optimizers of `nascence.registry`.

    ``learned`` is each of ``weights``, names of released weights or files; ``untrained`` is the
    start of each architecture among them; ``adam`` and ``nadamw`` have a rate of 0.001; ``adam-lr``
    is the best of 14 rates; ``adam8p`` and ``opt-list`` are the best of the first n settings for
    each n of ``trials``.

    Raises ValueError for a name, weights, or number of trials that is not there.
    """
    others = [name for name in registry.names("optimizer") if name not in NAMES]
    if unknown := [name for name in names if name not in (*NAMES, *others)]:
        allowed = ", ".join((*NAMES, *others))
        raise ValueError(f"optimizer is {unknown[0]!r}; allowed are {allowed}")
    if not names or (not weights and {"learned", "untrained"} & set(names)):
        raise ValueError("no optimizers, or no weights, are named; name at least one")
    if not trials or min(trials) < 1:
        raise ValueError(f"trials are {tuple(trials)}; give numbers of at least 1")
    found: list[Contestant] = []
    for name in dict.fromkeys(names):
        found += _named(name, list(dict.fromkeys(weights)), tuple(sorted(set(trials))))
    return found


def _named(name: str, weights: Sequence[str], trials: tuple[int, ...]) -> list[Contestant]:
    if name == "learned":
        return [Contestant(each, load(each), hand_made=False) for each in weights]
    if name == "untrained":
        starts = [_untrained(each) for each in weights]
        return list({start.name: start for start in starts}.values())
    if name == "adam":
        return [Contestant("Adam 0.001", Adam(1e-3))]
    if name == "nadamw":
        return [Contestant("NAdamW 0.001", NAdamW(1e-3))]
    if name == "adam-lr":
        return [Contestant("AdamLR", Adam(), learning_rates(), (len(LEARNING_RATES),))]
    if name == "adam8p":
        generator = torch.Generator().manual_seed(ADAM8P_SEED)
        theta = sample_adam8p(max(trials), generator=generator)
        return [Contestant("Adam8p", Adam8p(), theta, trials)]
    if name != "opt-list":
        return [Contestant(name, create(name))]
    listed = load_opt_list()
    length = len(listed["log_rate"])
    if max(trials) > length:
        raise ValueError(f"trials are {trials}; opt-list has {length} settings, ask for no more")
    theta = {key: value[: max(trials)] for key, value in listed.items()}
    return [Contestant("opt_list", NAdamWCosine(), theta, trials)]


def _untrained(weights: str) -> Contestant:
    trained = load(weights)
    untrained = type(trained)(**trained.settings)
    settings = ", ".join(f"{key} {value}" for key, value in trained.settings.items())
    name = f"untrained {type(trained).__name__.lower()} ({settings})"
    return Contestant(name, untrained, hand_made=False)


def seen_families(weights: Sequence[str]) -> dict[str, float]:
    """Families that any of these were meta-trained on, each with the share held out of it.

    Read from their cards; where two differ, the smaller share counts. Raises ValueError for missing
    weights.
    """
    seen: dict[str, float] = {}
    for each in weights:
        card = read_card(each)
        share = float(card.get("held_out", 0.0))
        for named in re.findall(r"([^\s,]+) \(\d+\)", str(card.get("families", ""))):
            family = named.partition(":")[0]  # other units of the parameters are no other tasks
            seen[family] = min(share, seen.get(family, 1.0))
    return seen


def file_name(contestant: Contestant, family: str) -> str:
    """Return the file name for the results of one contestant on one family."""
    last = Path(contestant.name).name.removesuffix(".safetensors")
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", last).strip("-.") or "optimizer"
    return f"{family.replace(':', '-')}--{plain}-{contestant.fingerprint}.json"
