"""The space of a table whose networks this package does not build."""

import torch

from nascence.data import Table
from nascence.spaces import Architecture, Decision, ProductSpace


class TableSpace(ProductSpace):
    """All architectures of a benchmark table: for searching, not to build its networks.

    Args:
        table: table of a whole space, such as :func:`nascence.data.nats_size`;
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

    def build(self, architecture: Architecture) -> torch.nn.Module:
        """Raise ``ValueError``: there are only measurements of the networks."""
        raise ValueError(f"the networks of {self.table.name} cannot be built; score them by table")
