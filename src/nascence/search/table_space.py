"""The space of a table whose networks this package does not build."""

import torch

from nascence.data import Table
from nascence.spaces import Architecture, Decision, ProductSpace


class TableSpace(ProductSpace):
    """All architectures of a benchmark table: to search it, not to build its networks.

    Args:
        table: of a whole space, such as :func:`nascence.data.nats_size`;
            :class:`nascence.search.ListedSpace` is for those of a part.
    """

    def __init__(self, table: Table) -> None:
        self._accept(table)
        super().__init__(tuple(Decision(name, choices) for name, choices in table.decisions))
        self.table = table

    def _accept(self, table: Table) -> None:
        if table.rows is not None:
            raise ValueError(
                f"the table of {table.name} holds a part of its space only; searching it would "
                "ask for architectures that nobody trained: use ListedSpace"
            )

    @property
    def description(self) -> str:
        """One line with the table's name."""
        return f"TableSpace({self.table.name})"

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the architecture itself: no two of them are known to compute the same."""
        return self.check(architecture)

    def format(self, architecture: Architecture) -> str:
        """Write the choices, with colons between them."""
        return ":".join(map(str, self.values(architecture).values()))

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` writes; raises ``ValueError`` for anything else."""
        words = text.strip().split(":")
        if len(words) != len(self.decisions):
            raise ValueError(
                f"cannot read the architecture {text[:80]!r}; it has {len(words)} choices, and "
                f"{self.table.name} has {len(self.decisions)} decisions"
            )
        return self.indices(words)

    def build(self, architecture: Architecture) -> torch.nn.Module:
        """Raise ``ValueError``: only the measurements are here."""
        raise ValueError(f"the networks of {self.table.name} cannot be built; score them by table")
