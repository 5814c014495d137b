"""Seeds against their published hash functions, and streams of their own."""

import hashlib
from itertools import pairwise

import pytest
import torch

from nascence.core.randomness import derived_seed, drawn_seed, reseed, seeded, stream


def test_text_seeds_are_blake2b_of_the_parts() -> None:
    digest = hashlib.blake2b(b"mlp/17", digest_size=8).digest()
    assert derived_seed("mlp", 17) == int.from_bytes(digest, "big") >> 1
    digest = hashlib.blake2b(b"(0, 2, 5)", digest_size=8).digest()
    assert derived_seed((0, 2, 5)) == int.from_bytes(digest, "big") >> 1


def test_search_seeds_are_sha256() -> None:
    digest = hashlib.sha256(b"3:1,2").digest()[:8]
    assert derived_seed(3, 1, 2, derivation="search") == int.from_bytes(digest, "big") >> 1


def test_training_seeds_are_splitmix64() -> None:
    # The first outputs for state 1234567, as published with the reference implementation.
    first, second = 6457827717110365317, 3203168211198807973
    assert derived_seed(1234567, 0, 1, derivation="training") == first >> 1
    assert derived_seed(1234567, 0, 2, derivation="training") == second >> 1


def test_hypernet_seeds_are_those_of_existing_runs() -> None:
    """Computed with version 0.1.0, whose runs must go on."""
    assert derived_seed(0, 0, derivation="hypernet") == 480572488117129417
    assert derived_seed(7, 1000, 3, 0, derivation="hypernet") == 2392885336214269427


@pytest.mark.parametrize("derivation", ["text", "search", "training", "hypernet"])
def test_neighbours_differ_in_half_of_the_bits(derivation) -> None:
    seeds = [
        derived_seed(*parts, derivation=derivation)
        for seed in range(10)
        for step in range(100)
        for parts in [(seed, step, 0)]
    ]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
    flipped = [(a ^ b).bit_count() for a, b in pairwise(seeds)]
    assert 28 < sum(flipped) / len(flipped) < 35


def test_an_unknown_derivation_is_named() -> None:
    with pytest.raises(ValueError, match="derivation is 'md5'; use one of text, search"):
        derived_seed(1, derivation="md5")  # type: ignore[arg-type]


def test_streams_depend_on_their_parts_alone() -> None:
    assert torch.rand(3, generator=stream(1, 2)).equal(torch.rand(3, generator=stream(1, 2)))
    assert not torch.rand(3, generator=stream(1, 2)).equal(torch.rand(3, generator=stream(1, 3)))


def test_a_drawn_seed_moves_the_generator_on() -> None:
    generator = torch.Generator().manual_seed(0)
    seeds = {drawn_seed(generator, bits=31) for _ in range(100)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_seeded_gives_initial_values_and_leaves_the_global_generator() -> None:
    before = torch.get_rng_state()
    with seeded(5):
        first = torch.nn.Linear(4, 4)
    with seeded(None):
        assert torch.get_rng_state().equal(before)
        reseed(5)
        second = torch.nn.Linear(4, 4)
    assert first.weight.equal(second.weight)
    assert torch.get_rng_state().equal(before)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        assert torch.nn.Linear(4, 4).weight.equal(first.weight)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_seeded_holds_the_generator_of_a_gpu_too() -> None:
    before = torch.cuda.get_rng_state()
    with seeded(5, "cuda"):
        first = torch.rand(4, device="cuda")
    assert torch.cuda.get_rng_state().equal(before)
    with seeded(5, "cuda:0"):
        assert torch.rand(4, device="cuda").equal(first)
