import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import CheckpointError, ConfigurationError
from workers.engine.identity import digest, identify, parse_cycles


@pytest.fixture
def copy(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


def test_name_digest_and_marker(tiny_checkpoint: Path) -> None:
    checkpoint = identify(tiny_checkpoint)
    assert checkpoint.name == "tiny"
    assert len(checkpoint.digest) == 64
    assert checkpoint.is_placeholder


def test_a_copy_has_the_same_digest(tiny_checkpoint: Path, copy: Path) -> None:
    assert digest(copy) == digest(str(tiny_checkpoint))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_each_file_counts(tiny_checkpoint: Path, copy: Path, name: str) -> None:
    with (copy / name).open("ab") as file:
        file.write(b"\n")
    assert digest(copy) != digest(tiny_checkpoint)


def test_at_another_depth_it_is_another_checkpoint(tiny_checkpoint: Path) -> None:
    own, same, other = (identify(tiny_checkpoint, cycles) for cycles in (None, "2x3", "1x2"))
    assert own == same
    assert other.name == "tiny@1x2"
    assert other.digest != own.digest


@pytest.mark.parametrize("cycles", ["", "2", "0x3", "2x10", "2 x 3"])
def test_what_is_no_depth(cycles: str) -> None:
    with pytest.raises(ConfigurationError, match="Write it as 2x3"):
        parse_cycles(cycles)


def test_other_files_do_not_count(tiny_checkpoint: Path, copy: Path) -> None:
    (copy / "README.md").write_text("hello")
    assert digest(copy) == digest(tiny_checkpoint)


def test_a_model_without_the_marker_is_no_placeholder(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    del config["gleaner_placeholder"]
    (copy / "config.json").write_text(json.dumps(config))
    assert not identify(copy).is_placeholder


def test_another_model_type_is_refused(copy: Path) -> None:
    (copy / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(CheckpointError, match="'llama'; only 'hrm_text'"):
        identify(copy)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(CheckpointError, match=name.split(".")[-1]):
        identify(copy)


def test_pickled_weights_are_refused(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"only as pytorch_model\.bin"):
        identify(copy)


@pytest.mark.parametrize("path", ["/nowhere/at/all", "./nowhere", "nowhere", "a/b/c"])
def test_a_directory_that_is_not_there_is_refused(path: str) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint directory"):
        identify(path)


def test_a_hub_name_that_is_not_in_the_cache_is_refused_offline(tmp_path: Path) -> None:
    code = "from workers.engine.identity import identify; identify('gleaner-tests/nothing')"
    env = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": "", "PYTHONPATH": "."}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert "CheckpointError: There is no directory gleaner-tests/nothing" in done.stderr


def test_identity_needs_neither_torch_nor_transformers(tiny_checkpoint: Path) -> None:
    code = (
        "import sys; from workers.engine.identity import identify; identify(sys.argv[1]); import workers.testing;"
        "print([m for m in ('torch', 'transformers', 'tokenizers', 'llguidance') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_checkpoint)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
