"""The families of networks that a run can choose from."""

from nascence.design.families.cells import Cells
from nascence.design.families.family import Family
from nascence.design.families.mdeq import MDEQ
from nascence.design.families.pretrained import Pretrained
from nascence.design.families.stages import Stages
from nascence.design.folder import RunError
from nascence.design.settings import DesignSettings

__all__ = ["FAMILIES", "Family", "family_of", "optimizer_of"]

FAMILIES: dict[str, Family] = {
    "stages": Stages(),
    "cells": Cells(),
    "mdeq": MDEQ(),
    "pretrained": Pretrained(),
}


def family_of(settings: DesignSettings) -> Family:
    """The family that the settings of a run ask for.

    Raises:
        RunError: There is none of that name, or it cannot start or be trained as asked for.
    """
    family = FAMILIES.get(settings.family)
    if family is None:
        raise RunError(f"--family is {settings.family!r}; it must be one of {', '.join(FAMILIES)}")
    for option, asked, allowed in (
        ("start", settings.start, family.starts),
        ("optimizer", settings.optimizer, family.optimizers),
    ):
        if asked is not None and asked not in allowed:
            raise RunError(
                f"--{option} is {asked!r}; with --family {settings.family} it can be "
                f"{' or '.join(allowed)}"
            )
    if settings.block != "identity" and settings.family != "cells":
        raise RunError(
            f"--block is {settings.block!r}, which is for --family cells; --family "
            f"{settings.family} chooses its blocks itself"
        )
    if (settings.pretrained is None) == (settings.family == "pretrained"):
        raise RunError(
            "--pretrained NAME and --family pretrained belong together; the command line adds the "
            "second to the first"
        )
    if settings.teacher is not None and settings.family != "stages":
        raise RunError(
            f"--teacher trains networks of --family stages, not of {settings.family}; "
            "leave one of the two out"
        )
    if settings.architecture is not None and settings.family != "stages":
        raise RunError(
            f"--architecture names a network of --family stages, not of {settings.family}; "
            "leave one of the two out"
        )
    return family


def optimizer_of(settings: DesignSettings) -> str:
    """What trains the designed network: the optimizer asked for, or the family's own."""
    return settings.optimizer or family_of(settings).optimizers[0]
