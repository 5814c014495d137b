"""Exit codes, failures on one line, and which stream each line goes to."""

import subprocess
import sys
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


FOREIGN = ["[/]", "[bold]x[/bold]", "[link=file:///]x", "a\\[b]", ":smile:", "[red", "[/red] [1]"]


@pytest.mark.parametrize("text", FOREIGN)
def test_nothing_foreign_is_markup(tmp_path: Path, capsys, text: str) -> None:
    console.say(text)
    console.say_table(text, (text, text), [(text, text)])
    console.line(text)
    with console.shown(tmp_path, quiet=False) as show:
        show("train", 0.5, text)
    captured = capsys.readouterr()
    said, *table = captured.out.splitlines()
    assert said == text
    assert sum(row.count(text) for row in table) == 5
    assert f"nascence: {text}" in captured.err
    assert captured.err.count(text) >= 2


def test_what_a_terminal_would_obey_is_escaped(capsys) -> None:
    console.say("a\x1b[2Jb\rc\nd\udcff☃ é")
    console.say_table("\x07", ("\x1b]0;x",), [("\x00",)])
    console.line("\x1b[31m")
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == r"a\x1b[2Jb\rc\nd\udcff☃ é"
    assert not set("\x1b\x07\x00") & set(captured.out + captured.err)


def test_columns_of_numbers_are_on_the_right(capsys) -> None:
    console.say_table("t", ("name", "count"), [("a", "1"), ("b", "1000")])
    rows = [line.strip("│┃ ").split("│") for line in capsys.readouterr().out.splitlines()]
    assert ["a    ", "     1"] in rows


def test_libraries_are_kept_quiet() -> None:
    code = (
        "import logging, warnings; from nascence.cli.console import quieten_libraries;"
        "quieten_libraries(); logging.warning('chatter'); logging.getLogger('x').error('chatter');"
        "warnings.warn('chatter'); print('result')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"result\n", b"")


def test_shares_by_name() -> None:
    assert console.shares("--networks", "a=0.8, b=2,c") == {"a": 0.8, "b": 2.0, "c": 1.0}


@pytest.mark.parametrize("text", ["a=0", "a=-1", "a=nan", "a=inf", "a=much", "a=1,a=2", "", ","])
def test_shares_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"^--networks (a is|has|is empty)"):
        console.shares("--networks", text)


def test_json_has_no_nan(capsys) -> None:
    console.say_json({"a": float("nan"), "b": [{"c": float("inf")}, (1.5, "x")], "d": None})
    assert capsys.readouterr().out == '{"a": null, "b": [{"c": null}, [1.5, "x"]], "d": null}\n'
