"""Text of invented languages, each from a seeded grammar, as numbers of characters."""

from functools import lru_cache
from random import Random

import torch
from torch import Tensor

from nascence.params import Params
from nascence.task import Draw, TaskSplit
from nascence.tasks.ranges import happens, log_uniform

ALPHABET = " .,abcdefghijklmnopqrstuvwxyz"
SYMBOLS = len(ALPHABET)
LANGUAGES = 12
LENGTH = 20_000
# Characters of each language.
PLACES: dict[TaskSplit, tuple[int, int]] = {
    "train": (0, 14_000),
    "inner-valid": (14_000, 16_000),
    "outer-valid": (16_000, 18_000),
    "test": (18_000, 20_000),
}
WORDS = {"noun": 80, "verb": 50, "adjective": 40, "adverb": 15, "article": 3, "preposition": 8}
# What a symbol may become, with weights; upper case goes on, lower case is a class of words.
RULES: dict[str, tuple[tuple[float, str], ...]] = {
    "SENTENCE": ((5, "CLAUSE ."), (2, "CLAUSE , CLAUSE ."), (1, "PLACE , CLAUSE .")),
    "CLAUSE": ((4, "PERSON DEED"), (2, "PERSON DEED PLACE"), (1, "PERSON DEED adverb")),
    "PERSON": ((4, "article THING"), (1, "THING")),
    "THING": ((4, "noun"), (3, "adjective noun"), (1, "noun PLACE")),
    "DEED": ((3, "verb"), (4, "verb PERSON")),
    "PLACE": ((1, "preposition PERSON"),),
}


class _Language:
    """The sounds, the words and the word order of one language."""

    def __init__(self, number: int) -> None:
        self.random = Random(7919 * number + 1)
        letters = list(ALPHABET[3:])
        vowels = [letter for letter in letters if letter in "aeiouy"]
        consonants = [letter for letter in letters if letter not in "aeiouy"]
        self.vowels = self._some(vowels, 3 + self._below(4))
        self.consonants = self._some(consonants, 6 + self._below(10))
        self.closed = self.random.random() * 0.6
        self.turned = self.random.random() < 0.5
        self.words = {kind: self._words(kind, count) for kind, count in WORDS.items()}

    # Of a Random, `random()` alone is promised to give the same numbers in every Python.
    def _below(self, bound: int) -> int:
        return int(self.random.random() * bound)

    def _some(self, items: list[str], count: int) -> list[str]:
        left = list(items)
        return [left.pop(self._below(len(left))) for _ in range(min(count, len(left)))]

    def _frequent(self, items: list[str]) -> str:
        """One of the items, nearly by Zipf's law: its position is log-uniform."""
        return items[int(len(items) ** self.random.random()) - 1]

    def _words(self, kind: str, count: int) -> list[str]:
        short = kind in ("article", "preposition")
        ending = "" if short else self._frequent(self.vowels) + self._frequent(self.consonants)
        marked = self.random.random() < 0.5
        found = []
        for _ in range(count):
            syllables = 1 + self._below(1 if short else 3)
            word = "".join(self._syllable() for _ in range(syllables))
            found.append(word + ending if marked else word)
        return found

    def _syllable(self) -> str:
        start = self._frequent(self.consonants) + self._frequent(self.vowels)
        closes = self.random.random() < self.closed
        return start + self._frequent(self.consonants) if closes else start

    def expand(self, symbol: str) -> list[str]:
        """The words and marks that a symbol of the grammar expands to."""
        if symbol in self.words:
            return [self._frequent(self.words[symbol])]
        if symbol not in RULES:
            return [symbol]
        rules = RULES[symbol]
        reached = self.random.random() * sum(weight for weight, _ in rules)
        chosen = rules[-1][1]
        for weight, rule in rules:
            reached -= weight
            if reached < 0:
                chosen = rule
                break
        parts = chosen.split()
        # Verbs come last, and adjectives follow, in half of the languages.
        if self.turned and symbol in ("DEED", "THING"):
            parts.reverse()
        return [word for part in parts for word in self.expand(part)]


@lru_cache(maxsize=LANGUAGES)
def language(number: int) -> str:
    """`LENGTH` characters of `ALPHABET` in one of the `LANGUAGES`."""
    speaker, written, length = _Language(number), [], 0
    while length <= LENGTH:
        text = " ".join(speaker.expand("SENTENCE")).replace(" .", ".").replace(" ,", ",") + " "
        written.append(text)
        length += len(text)
    return "".join(written)[:LENGTH]


@lru_cache(maxsize=4)
def corpora(device: str = "cpu") -> Tensor:
    """All languages as numbers of characters, ``(LANGUAGES, LENGTH)``."""
    numbers = {symbol: number for number, symbol in enumerate(ALPHABET)}
    rows = [[numbers[symbol] for symbol in language(number)] for number in range(LANGUAGES)]
    return torch.tensor(rows, device=device)


def draw_places(
    count: int, size: int, split: TaskSplit, *, length: int, generator: torch.Generator
) -> Draw:
    """Where windows of ``length`` characters start, ``(count, size)``, inside a split.

    Those of train are folded by `places_of`.
    """
    first, last = PLACES[split]
    return (torch.randint(first, last - length + 1, (count, size), generator=generator),)


def sample_text(*, generator: torch.Generator) -> Params:
    """Constants of a task on text.

    ``languages`` ``(LANGUAGES,)``, an order of them; ``characters`` ``()``, where windows of the
    training text start, the first 500 to all; ``seen`` ``()``, whether what is called validation
    and test is training text, for 0.15 of the tasks.
    """
    longest = PLACES["train"][1]
    return {
        "languages": torch.randperm(LANGUAGES, generator=generator),
        "characters": torch.tensor(round(log_uniform(500, longest, generator=generator))),
        "seen": torch.tensor(happens(0.15, generator=generator)),
    }


def places_of(constants: Params, drawn: Tensor) -> Tensor:
    """Where windows start, in the shape of ``drawn``, which is of `draw_places`.

    ``constants`` are of `sample_text`.
    """
    training = (drawn < PLACES["train"][1]) | constants["seen"]
    return torch.where(training, drawn % constants["characters"], drawn)


def windows(languages: Tensor, places: Tensor, *, length: int) -> Tensor:
    """Characters ``(B, length)`` of a language, or of one for each place, from ``places`` on."""
    offsets = torch.arange(length, device=places.device)
    texts = corpora(str(places.device))
    return texts[languages[..., None], places[:, None] + offsets]
