"""A small report, whole in every part."""

import math

import numpy as np
import pytest

from nascence.report import (
    CandidatePoint,
    Curve,
    Mistake,
    NetworkRow,
    ReportContents,
    StageTime,
)


@pytest.fixture
def contents() -> ReportContents:
    generator = np.random.default_rng(0)
    steps = tuple(range(0, 1001, 100))
    curves = tuple(
        Curve(
            name,
            steps,
            tuple(step * pace for step in steps),
            tuple(math.nan if step == 0 else 2.3 - step / 600 for step in steps),
            tuple(step / 1000 * top for step in steps),
        )
        for name, pace, top in (("designed", 0.04, 0.8), ("ResNet-8", 0.02, 0.7))
    )
    return ReportContents(
        title="Three animals",
        data_name="animals",
        classes=("cat", "dog", "snake"),
        image_shape=(3, 32, 32),
        train_images=900,
        validation_images=300,
        architecture="|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|skip_connect~2|",
        cell_edges=(
            (0, 1, "nor_conv_3x3"),
            (0, 2, "none"),
            (1, 2, "skip_connect"),
            (0, 3, "avg_pool_3x3"),
            (2, 3, "skip_connect"),
        ),
        skeleton=("stem 3×3, 24 channels", "3 cells", "3 classes"),
        candidates=tuple(
            CandidatePoint(f"candidate {i}", float(i), 1000 * (i + 1), 10_000 * (30 - i), i == 29)
            for i in range(30)
        ),
        score_name="score",
        curves=curves,
        confusion=np.array([[80, 15, 5], [10, 88, 2], [0, 1, 99]]),
        mistakes=tuple(
            Mistake(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8), "cat", "dog", 0.9)
            for _ in range(3)
        ),
        stages=(StageTime("search", 12.0, 10.0), StageTime("train", 40.0, None)),
        designed=NetworkRow("designed", 0.89, 250_000, 40_000_000, 4.0, 3.0, 40.0, 1000),
        baseline=NetworkRow("ResNet-8", 0.70, 500_000, 20_000_000, 3.0, 3.0, 20.0, 1000),
        settings={"seed": "0"},
        environment={"device": "cpu"},
        notes=("2 files were skipped",),
    )
