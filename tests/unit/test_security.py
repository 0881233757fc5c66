"""What the code never does: unpickle, run what it reads, load weights that may run code."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery.app.amqp import AMQP
from kombu.exceptions import ContentDisallowed
from kombu.serialization import loads
from structlog.testing import capture_logs

from tests.cases import parcels
from tests.cases.worlds import enqueue, make_runtime, states
from workers.app import app
from workers.runtime import set_runtime
from workers.tasks import extract_jobs

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    path for name in ("schemas", "workers", "pipelines", "migrations") for path in (ROOT / name).rglob("*.py")
]
UNPICKLERS = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
FORBIDDEN = {
    "eval": "runs what it is given",
    "exec": "runs what it is given",
    "os.system": "runs a shell",
    "os.popen": "runs a shell",
    "torch.load": "unpickles",
    "yaml.load": "makes objects",
    "numpy.load": "may unpickle",
    "pandas.read_pickle": "unpickles",
}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the name of what is called, as `torch.load`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def faults(source: str) -> list[str]:
    """What a source does that none of ours may."""
    tree = ast.parse(source)
    found = [name for name in imports(tree) if name.split(".")[0] in UNPICKLERS]
    for name, call in calls(tree):
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        if name in FORBIDDEN:
            found.append(f"{name} {FORBIDDEN[name]}")
        if isinstance(shell := given.get("shell"), ast.Constant) and shell.value:
            found.append(f"{name} runs a shell")
        # transformers' default is to ask at the terminal
        if name.endswith(".from_pretrained") and "trust_remote_code" not in given:
            found.append(f"{name} does not say trust_remote_code=False")
        if isinstance(remote := given.get("trust_remote_code"), ast.Constant) and remote.value is not False:
            found.append(f"{name} trusts remote code")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load(path)",
        "subprocess.run(command, shell=True)",
        "AutoModel.from_pretrained(path)",
        "AutoModel.from_pretrained(path, trust_remote_code=True)",
        "eval(text)",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert len(faults(source)) == 1


def test_no_source_unpickles_runs_a_shell_or_trusts_remote_code() -> None:
    assert len(SOURCES) > 100
    found = {str(path.relative_to(ROOT)): faults(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {name: what for name, what in found.items() if what} == {}


def test_celery_takes_json_alone() -> None:
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == app.conf.event_serializer == "json"
    assert app.conf.result_backend is None
    # the default one keeps a file that is read by unpickling
    assert app.conf.beat_scheduler == "celery.beat:Scheduler"
    assert isinstance(app.amqp, AMQP)
    with pytest.raises(ContentDisallowed):
        loads(b"\x80\x04N.", "application/x-python-serialize", "binary", accept={"application/json"})


@pytest.mark.parametrize(
    "ids",
    [
        ["1"],
        [1.5],
        [True],
        [0],
        [-1],
        [2**63],
        [None],
        [[1]],
        {"1": 1},
        "1",
        None,
        ["1); DROP TABLE jobs; --"],
        list(range(1, 200_000)),
    ],
)
def test_a_message_that_is_no_list_of_ids_is_refused_and_does_nothing(tmp_path: Path, ids: object) -> None:
    runtime = make_runtime(f"sqlite:///{tmp_path}/g.db", parcels.write_schema(tmp_path / "schemas"))
    enqueue(runtime, [parcels.text("Ann", "1 cup")])
    set_runtime(runtime)
    try:
        with capture_logs() as said:
            extract_jobs(json.loads(json.dumps(ids)))
    finally:
        set_runtime(None)
        runtime.store.dispose()
    assert [line["event"] for line in said] == ["message_refused"]
    assert len(str(said[0]["reason"])) < 300
    assert states(runtime) == ["queued"]
