from pathlib import Path

import pytest
import typer

from nascence.cli import console


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ValueError("got a,\nallowed b"), console.USAGE, "nascence: got a, allowed b"),
        (OSError("disk full"), console.USAGE, "nascence: disk full"),
        (ArithmeticError("loss is nan"), console.FAILED, "nascence: loss is nan"),
        (
            ModuleNotFoundError("No module named 'timm'", name="timm"),
            console.MISSING_EXTRA,
            "pip install timm",
        ),
    ],
)
def test_failures_are_one_line(capsys, error: Exception, code: int, text: str) -> None:
    with pytest.raises(typer.Exit) as caught, console.failures_as_lines():
        raise error
    assert caught.value.exit_code == code
    assert text in capsys.readouterr().err


def test_a_fault_of_the_program_is_not_hidden() -> None:
    with pytest.raises(TypeError), console.failures_as_lines():
        raise TypeError("a mistake")


def test_interrupt_names_the_resume_line(tmp_path: Path, capsys) -> None:
    (tmp_path / "config.yaml").write_text("")
    with (
        pytest.raises(typer.Exit) as caught,
        console.failures_as_lines(),
        console.shown(tmp_path, quiet=True),
    ):
        raise KeyboardInterrupt
    assert caught.value.exit_code == console.INTERRUPTED
    assert f"nascence resume {tmp_path}" in capsys.readouterr().err


def test_progress_is_shown_on_stderr_alone(tmp_path: Path, capsys) -> None:
    with console.shown(tmp_path, quiet=False) as show:
        show("train", 0.5, "half")
        show("train", 1.0, "done")
    captured = capsys.readouterr()
    assert not captured.out
    assert "train" in captured.err
