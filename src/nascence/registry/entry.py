"""One entry: something that is called by a name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from importlib import import_module
from typing import Any

KINDS: Mapping[str, str] = {
    "space": "nascence.spaces",
    "table": "nascence.tables",
    "strategy": "nascence.strategies",
    "gradient strategy": "nascence.gradient_strategies",
    "once-for-all strategy": "nascence.once_for_all_strategies",
    "gan strategy": "nascence.gan_strategies",
    "evaluator": "nascence.evaluators",
    "score": "nascence.scores",
    "optimizer": "nascence.optimizers",
    "solver": "nascence.solvers",
}
"""The kinds of entries, each with its group of entry points."""
STRATEGIES = tuple(kind for kind in KINDS if kind.endswith("strategy"))
"""Kinds that ``nascence search --strategy`` takes."""


class RegistrationError(ValueError):
    """A name that another package registered cannot be used."""


@dataclass(frozen=True)
class Entry:
    """Something that is called by a name.

    Attributes:
        kind: One of `KINDS`.
        name: What it is called, unique among its kind.
        target: Where it is, as ``"module:attribute"``.
        line: What it is, in a few words.
        paper: Who published it; empty where nobody did.
        keywords: What it is called with beside what its callers give.
        package: The distribution that registered it.
    """

    kind: str
    name: str
    target: str
    line: str
    paper: str = ""
    keywords: Mapping[str, Any] = field(default_factory=dict, hash=False)
    package: str = "nascence"

    def load(self) -> Any:
        """Import the module and return what the target names.

        Raises:
            RegistrationError: Another package registered it, and it cannot be imported.
        """
        module, _, path = self.target.partition(":")
        try:
            start: Any = import_module(module)
            found = reduce(getattr, path.split("."), start)
        except Exception as error:
            if self.package == "nascence":
                raise
            raise RegistrationError(
                f"the {self.kind} {self.name!r} of the package {self.package} cannot be loaded "
                f"from {self.target} ({type(error).__name__}: {error}); mend or uninstall it"
            ) from error
        return partial(found, **self.keywords) if self.keywords else found
