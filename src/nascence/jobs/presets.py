"""Published recipes by name: options of a job, the same in Python and on the command line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Options of a job as they were published; options given beside it take precedence.

    Attributes:
        name: What ``--preset`` calls it.
        line: What was done, in a few words.
        paper: Who did it, and where it is written.
        options: Options of the job, by the names of its fields.
    """

    name: str
    line: str
    paper: str
    options: Mapping[str, Any]


_DARTS = {"space": "darts", "steps": 19_500, "sizes": {"width": 16, "cells": 8}}
PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "amoebanet",
            "regularised evolution: a population of 100, samples of 25, 20,000 networks",
            "Real et al., AAAI 2019",
            {
                "strategy": "evolution",
                "trials": 20_000,
                "settings": {"population": 100, "sample": 25, "distinct": "nothing"},
            },
        ),
        Preset(
            "darts",
            "50 epochs of half of CIFAR-10 in batches of 64; 8 cells of 16 channels",
            "Liu et al., ICLR 2019, section 3.1.1",
            {**_DARTS, "strategy": "darts"},
        ),
        Preset(
            "darts-2nd",
            "the same, with the second-order gradient",
            "Liu et al., ICLR 2019, section 3.1.1",
            {**_DARTS, "strategy": "darts-2nd"},
        ),
        Preset(
            "enas",
            "the controller's published rate of 0.00035, however short the search is",
            "Pham et al., ICML 2018",
            {"strategy": "enas", "settings": {"controller_rate": 3.5e-4}},
        ),
        Preset(
            "once-for-all",
            "16,000 random networks for the predictor of accuracy",
            "Cai et al., ICLR 2020",
            {"space": "elastic-mobile", "strategy": "ofa", "trials": 16_000},
        ),
        Preset(
            "pc-darts",
            "50 epochs of half of CIFAR-10 in batches of 256, rates from 0.1 to 0; 8 cells of 16",
            "Xu et al., ICLR 2020, and their code",
            {
                **_DARTS,
                "strategy": "pc-darts",
                "steps": 4_900,
                "settings": {
                    "batch_size": 256,
                    "learning_rate": 0.1,
                    "final_learning_rate": 0.0,
                    "architecture_rate": 6e-4,
                },
            },
        ),
        Preset(
            "rlnas",
            "random labels; twenty generations of 50 within 475 million multiply-adds, by angle",
            "Zhang et al., CVPR 2021, and their code for the MobileNet-like space",
            {
                "space": "mobile",
                "strategy": "crossover",
                "evaluator": "rlnas",
                "trials": 1_000,
                "limits": {"macs": 475e6},
            },
        ),
        Preset(
            "spos",
            "twenty generations of 50 within 330 million multiply-adds, by re-calibrated accuracy",
            "Guo et al., ECCV 2020",
            {
                "space": "shufflenet",
                "strategy": "crossover",
                "evaluator": "accuracy",
                "trials": 1_000,
                "limits": {"macs": 330e6},
            },
        ),
    )
}


def preset_named(name: str) -> Preset:
    """Return a preset; raise ``ValueError`` with all names for an unknown one."""
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; use one of {', '.join(PRESETS)}")
    return PRESETS[name]
