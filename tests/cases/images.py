"""What docker/ says, as values: the stages of the Dockerfile, the services of Compose, each use of the command."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in DOCKER.iterdir() if path.is_file()}
COMPOSE: dict[str, Any] = yaml.safe_load(TEXTS["compose.yaml"])
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("gleaner:")}


@dataclass(frozen=True)
class Use:
    """A use of `gleaner`: where it stands, and its arguments."""

    where: str
    arguments: tuple[str, ...]
    # the whole line, where a shell runs it
    shell: str | None = None


def instructions(stage: str) -> list[tuple[str, str]]:
    """The instructions of a stage of the Dockerfile, those of the stages it builds on first."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", TEXTS["Dockerfile"], flags=re.MULTILINE)).splitlines()
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for line in filter(None, lines):
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            origin, _, name = rest.split()
            found[name] = list(found.get(origin, []))
        elif name:
            found[name].append((word, " ".join(rest.split())))
    return found[stage]


def last(stage: str, word: str) -> str:
    """What the last of these instructions of a stage says."""
    return [rest for one, rest in instructions(stage) if one == word][-1]


def environment(stage: str) -> dict[str, str]:
    """The variables that a stage sets."""
    said = (rest for word, rest in instructions(stage) if word == "ENV")
    return dict(pair.split("=", 1) for rest in said for pair in rest.split())


def uses_of_images() -> Iterator[Use]:
    """What the images run by themselves, and what Compose has them run."""
    for target in ("cpu", "cuda"):
        assert json.loads(last(target, "ENTRYPOINT")) == ["gleaner"]
        yield Use(f"CMD of {target}", tuple(json.loads(last(target, "CMD"))))
        check = json.loads(last(target, "HEALTHCHECK").split("CMD ")[1])
        yield Use(f"HEALTHCHECK of {target}", tuple(check[1:]))
    for name, service in OURS.items():
        yield Use(name, tuple(service["command"]))
        test = service.get("healthcheck", {}).get("test")
        if test:
            # Compose reads two signs as one
            line = test[1].replace("$$", "$")
            yield Use(f"health of {name}", tuple(shlex.split(line.split(" | ")[0])[1:]), line)


def uses_of_readme() -> Iterator[Use]:
    """What the README of docker/ has a container run."""
    readme = TEXTS["README.md"].replace("\\\n", " ")
    for line in re.findall(r"^docker .*(?:--rm gleaner| gleaner:\w+) (.*)$", readme, re.MULTILINE):
        if line != ".":
            yield Use("README.md", tuple(shlex.split(line)))
