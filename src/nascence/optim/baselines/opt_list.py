"""opt_list: a list of settings to try one after the other.

Made by the procedure of Metz et al. (2020, "Using a thousand optimization tasks to learn
hyperparameter search strategies", arXiv:2002.11887, section 4): random settings are tried on many
tasks, and the list begins with the setting that is best on average, goes on with the one that
complements it best, and so on. The settings are of `NAdamWCosine` and the tasks those of
`nascence.tasks`; the published list is from other tasks. `benchmarks.optim.make_opt_list` made
this one.
"""

from pathlib import Path
from typing import Any

from nascence.core.weights import RELEASED as FOLDER
from nascence.core.weights import Weights, read_weights
from nascence.optim.baselines.tuned_adam import NAdamWCosine
from nascence.params import Params

RELEASED = FOLDER / "opt-list.safetensors"
FORMAT = "nascence-opt-list-1"


def load_opt_list(path: str | Path = RELEASED) -> Params:
    """Return the settings, theta ``(count,)`` of `NAdamWCosine`, best first.

    Raises:
        ValueError: For a file that is no opt_list.
    """
    theta = _read(path).tensors
    names = {name for name, _ in NAdamWCosine().named_parameters()}
    if theta.keys() != names or len({value.shape for value in theta.values()}) != 1:
        raise ValueError(f"{path} has not the settings of an opt_list; it is damaged")
    return theta


def read_opt_list_card(path: str | Path = RELEASED) -> dict[str, Any]:
    """Return how the settings were found.

    Raises:
        ValueError: For a file that is no opt_list.
    """
    return _read(path).values("card", path)


def _read(path: str | Path) -> Weights:
    return read_weights(path, of="opt_list", format=FORMAT)
