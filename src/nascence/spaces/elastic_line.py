"""Networks of an elastic space as one line of text: ``r160 k3e4 k7e6 (k5e3) (k3e3) | …``."""

import re
from collections.abc import Sequence

from nascence.spaces.decisions import shortened


def written(values: Sequence[int], *, resolution: bool, depth: int) -> str:
    """Write the values of all decisions, with ``depth`` blocks in each stage."""
    numbers = list(values)
    text = f"r{numbers.pop(0)} " if resolution else ""
    stages = []
    for start in range(0, len(numbers), 1 + 2 * depth):
        used, *pairs = numbers[start : start + 1 + 2 * depth]
        blocks = [f"k{k}e{e}" for k, e in zip(pairs[::2], pairs[1::2], strict=True)]
        blocks[used:] = [f"({block})" for block in blocks[used:]]
        stages.append(" ".join(blocks))
    return text + " | ".join(stages)


def read(text: str, *, resolution: bool, depth: int, stages: int) -> list[int]:
    """Read the values of all decisions from what :func:`written` gives.

    Raises:
        ValueError: names the stage and the block that cannot be read.
    """
    words, values = text.split("|"), []
    if resolution:
        first, _, words[0] = words[0].strip().partition(" ")
        if not re.fullmatch(r"r\d{1,6}", first, re.ASCII):
            raise ValueError(
                f"cannot read the architecture {shortened(text)}: it must start with a resolution "
                "such as r160"
            )
        values.append(int(first[1:]))
    if len(words) != stages:
        raise ValueError(
            f"cannot read the architecture {shortened(text)}: it has {len(words)} stages between "
            f"|, and this space has {stages}"
        )
    for number, word in enumerate(words, 1):
        values += _stage(number, word.split(), depth)
    return values


def _stage(number: int, blocks: list[str], depth: int) -> list[int]:
    if len(blocks) != depth:
        raise ValueError(
            f"stage {number} has {len(blocks)} blocks; write {depth}, those beyond its depth in "
            "brackets"
        )
    used, values = 0, []
    for place, block in enumerate(blocks):
        match = re.fullmatch(r"(\()?k(\d{1,3})e(\d{1,3})(\))?", block, re.ASCII)
        if match is None or bool(match[1]) != bool(match[4]):
            raise ValueError(
                f"stage {number} has the block {shortened(block)}; write k3e4 for kernel 3 and "
                "expansion 4, and (k3e4) beyond the depth"
            )
        if not match[1]:
            if used < place:
                raise ValueError(f"stage {number} has the block {block} after one in brackets")
            used += 1
        values += [int(match[2]), int(match[3])]
    return [used, *values]
