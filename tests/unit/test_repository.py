"""What must stay true of the repository as a whole."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

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


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {name: (ROOT / name).read_text(encoding="utf-8").count("\n") for name in modules()}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


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
