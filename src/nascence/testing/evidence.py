"""What checks are made of: samples, refusals, and the way to another process."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch

from nascence.spaces import Architecture, SearchSpace

Kind = TypeVar("Kind")


def sent(value: Kind) -> Kind:
    """Return what another process gets; ``AssertionError`` where it gets nothing."""
    try:
        return pickle.loads(pickle.dumps(value))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError(f"it cannot be sent to another process: {error}") from error


def seeded(seed: int = 0) -> torch.Generator:
    """Make a generator."""
    return torch.Generator().manual_seed(seed)


def samples(space: SearchSpace, count: int, *, seed: int = 1) -> Iterator[Architecture]:
    """Draw architectures that follow from the seed."""
    generator = seeded(seed)
    return iter([space.sample(generator=generator) for _ in range(count)])


def within(architecture: Architecture, kept: Sequence[Sequence[int]]) -> bool:
    """Whether an architecture uses these choices alone."""
    return all(index in held for index, held in zip(architecture, kept, strict=True))


def refuses(use: Callable[[Any], object], wrong: object) -> None:
    """Assert that a call raises a ``ValueError`` of one line."""
    try:
        result = use(wrong)
    except ValueError as error:
        is_one_line(error)
    else:
        raise AssertionError(f"{wrong!r:.100} is not refused: {result!r:.100}")


def is_one_line(error: ValueError) -> None:
    """Assert that a message is a line, not too long."""
    text = str(error)
    assert 0 < len(text) < 1000, f"a message of {len(text)} characters"
    assert "\n" not in text, text
