"""Random streams from one seed: every choice has a seed of its own that its parts determine.

A loop that draws the choices of step k from (seed, k) resumes exactly wherever it was stopped,
and no choice depends on how many were made before it.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch

Part = int | str | tuple[int, ...]
Derivation = Literal["text", "search", "training", "hypernet"]
"""How parts become a seed.

New code takes ``"text"``. The others are kept because existing files depend on their numbers:
the scores in a study and the checkpoints of supernets and GANs on ``"search"``, the checkpoints
of `nascence.train` on ``"training"``, and those of a hypernetwork's meta-training on
``"hypernet"``. Tasks, their comparisons and an optimizer's meta-training depend on ``"text"``.
"""


def derived_seed(*parts: Part, derivation: Derivation = "text") -> int:
    """Return a seed from 0 to 2^63 - 1 that depends only on the parts, on every machine.

    Args:
        parts: Whatever tells this choice from all others, such as the seed of a run, the purpose
            and the number of a step. ``"search"`` and ``"hypernet"`` take numbers alone and
            ``"training"`` three of them: seed, index and stream.
        derivation: See `Derivation`.

    Raises:
        ValueError: Another derivation.
    """
    if derivation not in _DERIVATIONS:
        raise ValueError(
            f"derivation is {derivation!r}; use one of {', '.join(get_args(Derivation))}"
        )
    return _DERIVATIONS[derivation](*parts)


def stream(*parts: Part, derivation: Derivation = "text") -> torch.Generator:
    """Return a generator on the CPU with the seed that `derived_seed` gives these parts."""
    return torch.Generator().manual_seed(derived_seed(*parts, derivation=derivation))


def drawn_seed(generator: torch.Generator, *, bits: int = 62) -> int:
    """Draw a seed of at most ``bits`` bits, which advances ``generator`` by one draw."""
    return int(torch.randint(2**bits, (), generator=generator))


@contextmanager
def seeded(seed: int | None, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed PyTorch's global generators within the block, and restore their states afterwards.

    This is how a module gets initial values from a seed. ``seed`` None leaves the states as they
    are on entry; ``device`` names the GPU whose generator is treated as the CPU's is.
    """
    device = torch.device(device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if seed is not None:
            reseed(seed, device)
        yield


def reseed(seed: int, device: torch.device | str = "cpu") -> None:
    """Seed PyTorch's global generator of the CPU and that of ``device``; call it in `seeded`."""
    torch.default_generator.manual_seed(seed)
    device = torch.device(device)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def _text(*parts: Part) -> int:
    """BLAKE2b of the parts as text, with slashes between them."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _search(seed: Part, *numbers: Part) -> int:
    """SHA-256 of the seed, a colon, and the numbers with commas between them."""
    text = f"{seed}:{','.join(map(str, numbers))}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def _training(seed: int, index: int, stream: int) -> int:
    """One step of SplitMix64, from seed plus index and stream times the golden ratio."""
    mask = 2**64 - 1
    value = (seed + (3 * index + stream) * 0x9E3779B97F4A7C15) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return (value ^ (value >> 31)) >> 1


def _hypernet(*numbers: int) -> int:
    """Each number multiplied in and folded down."""
    mixed = 0x9E3779B97F4A7C15
    for number in numbers:
        mixed = ((mixed ^ (number + 1)) * 0xD6E8FEB86659FD93) % 2**64
        mixed ^= mixed >> 32
    return mixed % 2**63


_DERIVATIONS: dict[str, Callable[..., int]] = {
    "text": _text,
    "search": _search,
    "training": _training,
    "hypernet": _hypernet,
}
