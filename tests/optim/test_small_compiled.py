"""The compiled loop: where it is kept, what stops it; its arithmetic is held elsewhere."""

from pathlib import Path

import pytest

from nascence.optim import Small, small_compiled
from nascence.optim.small import compiled
from nascence.optim.small_compiled import library


@pytest.fixture(autouse=True)
def _forget() -> None:
    library.cache_clear()


def test_it_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASCENCE_CACHE", str(tmp_path))
    library(3)
    (made,) = (tmp_path / "compiled").iterdir()
    library.cache_clear()
    monkeypatch.setattr(small_compiled, "_compile", None)
    library(3)
    assert list((tmp_path / "compiled").iterdir()) == [made]


def test_it_does_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASCENCE_CACHE", "")
    assert library(2).apply is not None


@pytest.mark.parametrize(
    ("compiler", "message"), [("no-such-compiler", "found none"), ("false", "cannot compile")]
)
def test_a_compiler_that_is_missing_or_fails_is_told(
    compiler: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NASCENCE_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", compiler)
    with pytest.raises(OSError, match=message):
        compiled(Small())
