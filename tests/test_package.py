"""What the package says of itself to tools: one version, types, and how to cite it."""

import tomllib
from pathlib import Path

import yaml

import nascence

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_there_is_one_version() -> None:
    assert "version" not in PROJECT["project"]
    assert PROJECT["project"]["dynamic"] == ["version"]
    path = ROOT / PROJECT["tool"]["hatch"]["version"]["path"]
    assert f'__version__ = "{nascence.__version__}"' in path.read_text()
    others = [
        path.relative_to(ROOT).as_posix()
        for path in ROOT.glob("*")
        if path.suffix in (".cff", ".toml")
        and f'version = "{nascence.__version__}"' in path.read_text()
    ]
    assert others == []


def test_types_are_for_others_too() -> None:
    assert (ROOT / "src" / "nascence" / "py.typed").is_file()


def test_the_citation_is_complete() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"title", "message", "authors", "abstract", "license", "type"} <= citation.keys()
    assert citation["title"] == PROJECT["project"]["name"]
    assert citation["license"] == PROJECT["project"]["license"]
    assert "version" not in citation
