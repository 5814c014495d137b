"""Few-shot splitting: one supernet into several, each with some of the choices of a decision.

Zhao, Wang, Tian, Fonseca and Guo, "Few-shot Neural Architecture Search", ICML 2021, section 3.
"""

from collections.abc import Mapping, Sequence
from itertools import product

from nascence.supernets.weight_sharing import AnySuperNet

Groups = Sequence[Sequence[int]]


def split(
    supernet: AnySuperNet, decisions: Sequence[str] | Mapping[str, Groups]
) -> list[AnySuperNet]:
    """Split a supernet at one or more decisions into independent sub-supernets.

    Each is a copy that holds the supernet's weights for all that it keeps, so it computes what
    the supernet computes. It can be split again.

    Args:
        supernet: stays as it is.
        decisions: names, each to be split into its single choices; or for each name the groups
            of choice indices, which together are the choices that the supernet holds, as in
            ``{"edge_0_1": [(0, 1), (2, 3, 4)]}``.

    Returns:
        One supernet for every combination of groups, those of the last decision fastest.

    Raises:
        ValueError: a decision that the space does not have, is given twice, or has one choice
            left; groups that are not a partition of its choices.
    """
    names = [decision.name for decision in supernet.space.decisions]
    if isinstance(decisions, str):
        raise ValueError(f"decisions is the string {decisions!r}; give a list of names")
    asked = list(decisions)
    if not asked:
        raise ValueError(f"no decision to split is given; use some of {', '.join(names)}")
    if len(set(asked)) < len(asked):
        raise ValueError(f"a decision is given twice among {', '.join(map(str, asked))}")
    partitions = []
    for name in asked:
        if name not in names:
            raise ValueError(f"there is no decision {name!r} to split; use {', '.join(names)}")
        held = supernet.choices[names.index(name)]
        if len(held) == 1:
            only = supernet.space.decisions[names.index(name)].choices[held[0]]
            raise ValueError(
                f"decision {name!r} was already split: this supernet holds only {only!r} there"
            )
        given = decisions[name] if isinstance(decisions, Mapping) else [(i,) for i in held]
        partitions.append(_checked(name, [tuple(sorted(group)) for group in given], held))
    children = []
    for combination in product(*partitions):
        choices = list(supernet.choices)
        for name, group in zip(asked, combination, strict=True):
            choices[names.index(name)] = group
        children.append(supernet.restrict(choices))
    return children


def _checked(
    name: str, groups: list[tuple[int, ...]], held: tuple[int, ...]
) -> list[tuple[int, ...]]:
    """Return the groups, or raise where they are not a partition of ``held`` into two or more."""
    if len(groups) < 2 or not all(groups) or sorted(sum(groups, ())) != sorted(held):
        raise ValueError(
            f"groups {groups} of decision {name!r} must be two or more, and hold each of the "
            f"choices {held} once"
        )
    return groups
