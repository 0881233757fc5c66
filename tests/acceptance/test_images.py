"""What the images run, run without Docker: the wheel in a clean environment, and every command that docker/ names."""

import re
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.acceptance.conftest import Cli, wait_until
from tests.cases.images import OURS, ROOT, Use, environment, last, uses_of_images, uses_of_readme
from tests.servers import free_port

pytestmark = pytest.mark.timeout(1800)

TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
LASTING = {"worker-cpu", "beat"}


@dataclass
class Container(Cli):
    """`gleaner` as it is in an image: nothing else installed, no other variables, the paths of volumes elsewhere."""

    image: Path = Path()

    def _command(self, arguments: Sequence[str | Path]) -> list[str]:
        return [str(self.image / "bin" / "gleaner"), *map(str, arguments)]

    def environment(self, settings: dict[str, str]) -> dict[str, str]:
        given = {f"GLEANER_{name.upper()}": value for name, value in (self.settings | settings).items()}
        path = f"{self.image / 'bin'}:/usr/bin:/bin"
        ours = {"PATH": path, "HOME": str(self.directory), "HF_HOME": str(self.directory / "models")}
        return environment("cpu") | ours | {"OMP_NUM_THREADS": "1"} | given

    def shell(self, line: str) -> None:
        subprocess.run(
            ["/bin/sh", "-c", line], cwd=self.directory, env=self.environment({}), check=True, timeout=120
        )


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment made as the Dockerfile makes it, with this machine's build of torch."""
    directory = tmp_path_factory.mktemp("image")
    pip_wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", directory]
    subprocess.run([*pip_wheel, ROOT], check=True)
    [wheel] = directory.glob("*.whl")
    made = directory / "venv"
    venv.create(made, with_pip=True)
    install = [made / "bin" / "python", "-m", "pip", "install", "--quiet"]
    torch_too = [*install, f"torch=={torch.__version__}"]
    if subprocess.run(torch_too, capture_output=True).returncode:
        subprocess.run([*torch_too, "--index-url", TORCH_INDEX], check=True)
    extras = re.search(r"\[[\w,]+\]", last("venv-cpu", "RUN"))
    assert extras
    subprocess.run([*install, f"{wheel}{extras[0]}"], check=True, capture_output=True)
    return made


@pytest.fixture
def container(image: Path, tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[Container]:
    data = tmp_path / "data"
    data.mkdir()
    settings = {
        "data_dir": str(data),
        "database_url": postgres_url,
        "broker_url": redis_url,
        "metrics_host": OURS["beat"]["environment"]["GLEANER_METRICS_HOST"],
    }
    made = Container(data, settings, timeout_s=600, image=image)
    yield made
    made.stop_all()


def test_every_command_of_the_images_runs(container: Container, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "schemas" / "catalog" / "samples", tmp_path / "inbox")
    uses = {use.where: use for use in uses_of_images()}
    assert container(*uses.pop("migrate").arguments).ok.out
    # each in a container of its own, where the port is free
    lasting = [
        container.start(*uses.pop(name).arguments, metrics_port=str(free_port())) for name in sorted(LASTING)
    ]
    wait_until(lambda: container.value("SELECT count(device) FROM workers") == "1", "the worker", 600)

    for use in [*uses_of_readme(), *uses.values()]:
        if use.arguments[0] == "worker":
            _refused_without_gpu(container, use)
        else:
            _run(container, use, tmp_path)

    for process in lasting:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(120) for process in lasting] == [0, 0]
    assert "Traceback" not in container.log


def _refused_without_gpu(container: Container, use: Use) -> None:
    refused = container(*use.arguments)
    assert refused.code != 0
    assert "GPU" in refused.err
    assert "Traceback" not in refused.err


def _run(container: Container, use: Use, root: Path) -> None:
    if use.shell:
        container.shell(use.shell)
        return
    ran = container(*(re.sub(r"^/inbox", str(root / "inbox"), part) for part in use.arguments)).ok
    assert ran.out
