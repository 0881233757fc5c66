"""What must stay true of the repository as a whole."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import typer
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "workers", "pipelines", "migrations")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def package_files() -> list[Path]:
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*"))
    return [path for path in files if path.is_file() and "__pycache__" not in path.parts]


def modules() -> set[str]:
    """Every module as `workers/extract.py`, but for package markers and the migrations themselves."""
    paths = {path.relative_to(ROOT) for path in package_files() if path.suffix == ".py"}
    return {
        str(path)
        for path in paths
        if path.name != "__init__.py" and path.parent != Path("migrations/versions")
    }


def git(*arguments: str) -> list[str]:
    """The lines git prints; skips where this is no clone."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()


def tracked_texts() -> Iterator[tuple[str, str]]:
    for name in git("ls-files"):
        try:
            yield name, (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # a PDF, or a file about to be removed


def read_tree(readme: str) -> dict[str, str]:
    """The clause of each path under `## The tree`; a path is whole, or indented below its folder."""
    block = re.search(r"^## The tree\n.*?^```\w*\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert block, "README.md has no fenced block under a heading `## The tree`"
    clauses: dict[str, str] = {}
    folders: list[tuple[int, str]] = []
    for line in block[1].splitlines():
        text = line.lstrip(" │├└─")
        indent = len(line) - len(text)
        names = list(takewhile(re.compile(r"[\w./-]*(?:/|\.\w+)").fullmatch, text.split()))
        if not names:
            continue
        while folders and folders[-1][0] >= indent:
            folders.pop()
        parent = folders[-1][1] if folders else ""
        clause = " ".join(text.split()[len(names) :])
        clauses |= dict.fromkeys((parent + name for name in names), clause)
        if names[0].endswith("/"):
            folders.append((indent, parent + names[0]))
    return clauses


def test_tree_reads_whole_and_indented_paths() -> None:
    readme = (
        "# X\n\n## The tree\n\nFirst words.\n\n```text\nworkers/   what works\n"
        "  a.py  b.py   two things\n  engine/   the model\n    c.py   a third,\n         told at length\n"
        "schemas/d.py  a fourth\n```\n\n```\nother/e.py  no\n```\n"
    )
    assert read_tree(readme) == {
        "workers/": "what works",
        "workers/a.py": "two things",
        "workers/b.py": "two things",
        "workers/engine/": "the model",
        "workers/engine/c.py": "a third,",
        "schemas/d.py": "a fourth",
    }


def test_tree_of_the_readme_lists_every_module_and_nothing_else() -> None:
    tree = read_tree(README)
    assert modules() - tree.keys() == set(), "missing in the README's tree"
    assert [path for path in tree if not (ROOT / path).exists()] == [], "in the README's tree only"
    assert [path for path, clause in tree.items() if not clause] == [], "no clause"


def test_settings_are_documented() -> None:
    from workers.settings import Settings

    settings = {f"GLEANER_{name.upper()}" for name in Settings.model_fields}
    documented = set(re.findall(r"^\| *`(GLEANER_\w+)`", README, re.MULTILINE))
    assert settings - documented == set(), "missing in the README's table of settings"
    mentioned = {name for name in re.findall(r"\bGLEANER_[A-Z_]+\b", README) if "_TEST_" not in name}
    assert mentioned - settings == set(), "named in the README, but not a setting"


def test_every_command_shows_an_example() -> None:
    from pipelines.cli.main import app

    def walk(command: Any, path: str) -> Iterator[str]:
        if not re.search(rf"{path}\b", f"{command.help}\n{command.epilog}"):
            yield path
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, f"{path} {name}")

    assert list(walk(typer.main.get_command(app), "gleaner")) == [], "no example in the help"


def test_the_command_line_starts_without_torch() -> None:
    program = "import json, sys, pipelines.cli.main; print(json.dumps(list(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True)
    assert answer.returncode == 0, answer.stderr.decode()
    assert {"torch", "transformers"}.isdisjoint(json.loads(answer.stdout))


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {name: (ROOT / name).read_text(encoding="utf-8").count("\n") for name in modules()}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    assert {str(path.relative_to(ROOT)) for path in package_files()} - packed == set()
    assert {"schemas/catalog/receipt.jsonl", "migrations/script.py.mako"} <= packed
    assert {"pipelines/report/templates/index.html", "pipelines/report/templates/style.css"} <= packed
    assert any(re.fullmatch(r"migrations/versions/\w+\.py", name) for name in packed)
    assert not any(name.startswith(("tests/", "docker/")) for name in packed)


def test_nothing_ignored_is_tracked() -> None:
    assert git("ls-files", "--cached", "--ignored", "--exclude-standard") == []


def test_no_path_or_index_of_one_machine_is_tracked() -> None:
    path = re.compile(r"(?<![\w.~-])/(?:work|root)/")
    index = re.compile(
        r"(?:index|links|mirror|registry|proxy)[\w-]*\W+((?:https?|file)://[^\s/]*)", re.IGNORECASE
    )
    public = {"https://download.pytorch.org", "https://pypi.org"}
    texts = dict(tracked_texts())
    assert [name for name, text in texts.items() if path.search(text)] == []
    assert {host for text in texts.values() for host in index.findall(text)} - public == set()


def test_the_licence_is_apache_2() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    title = " ".join((ROOT / "LICENSE").read_text(encoding="utf-8").split()[:6])
    assert project["license"] == "Apache-2.0"
    assert title == "Apache License Version 2.0, January 2004"
