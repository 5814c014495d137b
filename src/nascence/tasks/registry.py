"""All families and tasks by name, and those that meta-training never sees."""

from collections.abc import Callable

from nascence.task import Task, training_tasks
from nascence.tasks.autoencoders import autoencoder, wide_autoencoder
from nascence.tasks.convolutional import convolutional, wide_convolutional
from nascence.tasks.flows import autoregressive_flow, coupling_flow, wide_flow
from nascence.tasks.functions import function
from nascence.tasks.least_squares import least_squares
from nascence.tasks.multilayer import multilayer, softmax, wide_multilayer
from nascence.tasks.numbered import CostedFamily
from nascence.tasks.quadratics import Quadratics, wide_quadratics
from nascence.tasks.recurrent import characters, recurrent, text, wide_recurrent
from nascence.tasks.regression import regression
from nascence.tasks.reparametrised import SUFFIXES, ReparametrisedFamily
from nascence.tasks.variational import variational, wide_variational
from nascence.tasks.yardstick import Yardstick

# For meta-training; one step of one network costs at most a few times that of the yardstick.
_TRAINING: dict[str, Callable[[], CostedFamily]] = {
    "yardstick": Yardstick,
    "quadratic": Quadratics,
    "least-squares": least_squares,
    "mlp": multilayer,
    "softmax": softmax,
    "autoencoder": autoencoder,
    "function": function,
    "recurrent": recurrent,
    "convolutional": convolutional,
    "characters": characters,
}
# For testing alone.
_HELD_OUT: dict[str, Callable[[], CostedFamily]] = {
    "autoregressive-flow": autoregressive_flow,
    "coupling-flow": coupling_flow,
    "variational": variational,
    "regression": regression,
    "text": text,
    "mlp-wide": wide_multilayer,
    "autoencoder-wide": wide_autoencoder,
    "convolutional-wide": wide_convolutional,
    "recurrent-wide": wide_recurrent,
    "flow-wide": wide_flow,
    "variational-wide": wide_variational,
    "quadratic-wide": wide_quadratics,
}
FAMILIES = _TRAINING | _HELD_OUT
TRAINING = tuple(_TRAINING)
HELD_OUT = tuple(_HELD_OUT)
# The last share of every family for meta-training is not used in it by default.
HELD_OUT_SHARE = 0.2


def family(name: str) -> CostedFamily:
    """A family by its name; raises ValueError for an unknown one.

    ``name:units`` is the family with every task in units of its own, and ``name:units-of-tensors``
    with every tensor in its own (`ReparametrisedFamily`).
    """
    plain, _, suffix = name.partition(":")
    if plain not in FAMILIES:
        raise ValueError(f"task family is {name!r}; allowed are {', '.join(FAMILIES)}")
    if not suffix and plain == name:
        return FAMILIES[plain]()
    for units, known in SUFFIXES.items():
        if suffix == known:
            return ReparametrisedFamily(FAMILIES[plain](), units)
    raise ValueError(
        f"task family is {name!r}; after the colon give {' or '.join(SUFFIXES.values())}"
    )


def chosen(names: str, *, max_cost: int | None = None) -> list[CostedFamily]:
    """Families by names separated by commas; one named twice counts twice.

    "training" stands for those for meta-training, "held-out" for the others and "all" for both,
    also with a colon and what follows it in `family`. ``max_cost`` leaves out families with a task
    that takes more multiply-adds a step. Raises ValueError for an unknown name, and if nothing is
    left.
    """
    groups = {"training": TRAINING, "held-out": HELD_OUT, "all": tuple(FAMILIES)}
    found = []
    for name in (part.strip() for part in names.split(",") if part.strip()):
        plain, colon, suffix = name.partition(":")
        found += [family(f"{one}{colon}{suffix}") for one in groups.get(plain, (plain,))]
    if max_cost is not None:
        found = [one for one in found if one.cost <= max_cost]
    if not found:
        raise ValueError(
            f"no task family is left of {names!r} with max_cost={max_cost}; "
            f"name some of {', '.join((*groups, *FAMILIES))}, or raise the limit"
        )
    return found


def task(name: str) -> Task:
    """A task by its name, such as ``mlp/17``; raises ValueError for an unknown one."""
    kind, _, number = name.rpartition("/")
    if not kind or not number.isdecimal():
        raise ValueError(f"task is {name!r}; give a family and a number, such as mlp/17")
    tasks = family(kind)
    if int(number) >= len(tasks):
        raise ValueError(f"task is {name!r}; {kind} has tasks 0 to {len(tasks) - 1}")
    return tasks.task(int(number))


def task_names(names: str = "all", *, unseen: bool = False) -> list[str]:
    """Names of all tasks of the families that `chosen` takes ``names`` for.

    ``unseen`` keeps those that a meta-training on the families of `TRAINING` with its default
    ``held_out`` never has: all of held-out families, and the last fifth of the others.
    """
    found = []
    for one in chosen(names):
        trained = one.name.partition(":")[0] in TRAINING
        first = training_tasks(len(one), HELD_OUT_SHARE) if unseen and trained else 0
        found += [f"{one.name}/{index}" for index in range(first, len(one))]
    return found
