import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import pytest

from schemas import ExtractionSchema, Registry, SchemaSettings, Step
from schemas.base import Schema, schema_form, schema_name
from schemas.errors import (
    DuplicateSchemaError,
    ExampleError,
    SchemaDefinitionError,
    SchemaError,
    UnknownSchemaError,
)
from schemas.examples import Example

CATALOG = ["invoice", "job_posting", "nda", "receipt", "support_ticket"]

CONTRACT = '''
from schemas import ExtractionSchema


class Contract(ExtractionSchema):
    """A contract."""

    title: str
'''


@pytest.fixture(autouse=True)
def _clean_imports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("gleaner_schemas_", "own_")):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(path: str, content: str = CONTRACT) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        return file

    return write


def own(registry: Registry) -> list[str]:
    return [name for name in registry.names() if name not in CATALOG]


def test_the_catalog_is_there_and_without_faults() -> None:
    registry = Registry.load()
    assert registry.names() == CATALOG
    assert [fault for name in CATALOG for fault in registry.check(name)] == []


def test_schemas_of_a_directory_are_found_with_examples_and_samples_beside_them(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    file = write("mine/contract.py")
    lines = [json.dumps({"text": text, "record": {"title": text}}) for text in ("One", "Two")]
    write("mine/contract.jsonl", "\n".join(lines))
    registry = Registry.load([str(tmp_path / "mine")])
    assert own(registry) == ["contract"]
    entry = registry.entry("contract")
    assert entry.file == file
    assert entry.examples_file == tmp_path / "mine" / "contract.jsonl"
    assert entry.samples_dir == tmp_path / "mine" / "samples" / "contract"
    schema = registry.get("contract")
    assert [example.text for example in schema.examples] == ["One", "Two"]


def test_a_relative_directory_and_one_in_the_home_are_found(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("mine/contract.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in ("mine", "./mine", "~/mine"):
        assert own(Registry.load([source])) == ["contract"]


def test_modules_and_packages_are_found(write: Callable[..., Path], tmp_path: Path) -> None:
    write("own_module.py")
    write("own_package/__init__.py", "")
    file = write("own_package/lease.py", CONTRACT.replace("Contract", "Lease"))
    assert own(Registry.load(["own_module"])) == ["contract"]
    registry = Registry.load(["own_module", "own_package"])
    assert own(registry) == ["contract", "lease"]
    assert registry.entry("lease").examples_file == file.with_name("lease.jsonl")


def test_one_source_named_twice_is_no_duplicate(write: Callable[..., Path], tmp_path: Path) -> None:
    write("mine/contract.py")
    assert own(Registry.load([str(tmp_path / "mine")] * 2)) == ["contract"]


def test_files_of_one_directory_import_each_other_and_each_class_is_registered_once(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    write("mine/_shared.py", CONTRACT.replace("Contract", "Hidden"))
    write("mine/contract.py")
    write(
        "mine/lease.py",
        "from ._shared import Hidden\nfrom .contract import Contract\n"
        "from schemas.catalog.receipt import Receipt\n\n"
        "class Lease(Contract):\n    rent: str\n\nOther = Lease\n",
    )
    assert own(Registry.load([str(tmp_path / "mine")])) == ["contract", "lease"]


def test_bases_without_fields_and_private_classes_are_not_registered(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    write(
        "mine/contract.py",
        CONTRACT + "\nclass Base(ExtractionSchema):\n    '''Shared.'''\n\n"
        "class _Private(ExtractionSchema):\n    x: str\n",
    )
    assert own(Registry.load([str(tmp_path / "mine")])) == ["contract"]


def test_two_directories_may_hold_files_of_one_name(write: Callable[..., Path], tmp_path: Path) -> None:
    write("one/contract.py")
    write("two/contract.py", CONTRACT.replace("Contract", "Lease"))
    assert own(Registry.load([str(tmp_path / "one"), str(tmp_path / "two")])) == ["contract", "lease"]


def test_a_duplicate_name_is_an_error_that_names_both_places(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    one, two = write("one/contract.py"), write("two/agreements.py")
    with pytest.raises(DuplicateSchemaError, match="two schemas are named 'contract'") as caught:
        Registry.load([str(one.parent), str(two.parent)])
    assert str(one) in caught.value.message and str(two) in caught.value.message


def test_a_name_of_the_catalog_is_taken(write: Callable[..., Path], tmp_path: Path) -> None:
    write("mine/contract.py", CONTRACT.replace("Contract", "Receipt"))
    with pytest.raises(DuplicateSchemaError, match=r"catalog.receipt\.py"):
        Registry.load([str(tmp_path / "mine")])


@pytest.mark.parametrize(
    "source", ["no_such_module", "./no/such/directory", "/no/such/directory", "a b", "..x"]
)
def test_what_is_neither_directory_nor_module_is_named(source: str) -> None:
    with pytest.raises(SchemaError) as caught:
        Registry.load([source])
    assert source in caught.value.message and "GLEANER_SCHEMAS" in caught.value.hint


@pytest.mark.parametrize("content", ["import no_such_module", "1 / 0", "def f(:", "from . import nothing"])
@pytest.mark.parametrize("place", ["mine/broken.py", "own_package/broken.py", "own_broken.py"])
def test_a_file_that_cannot_be_imported_is_named(
    write: Callable[..., Path], tmp_path: Path, content: str, place: str
) -> None:
    write("own_package/__init__.py", "")
    write(place, content)
    source = {"mine/broken.py": str(tmp_path / "mine"), "own_package/broken.py": "own_package"}.get(
        place, "own_broken"
    )
    with pytest.raises(SchemaError, match=r"broken.* cannot be imported: ") as caught:
        Registry.load([source])
    assert caught.value.__cause__ is not None


def test_a_file_that_was_mended_is_imported(write: Callable[..., Path], tmp_path: Path) -> None:
    file = write("mine/contract.py", "1 / 0")
    with pytest.raises(SchemaError, match="ZeroDivisionError"):
        Registry.load([str(tmp_path / "mine")])
    file.write_text(CONTRACT + "# mended\n", encoding="utf-8")
    assert own(Registry.load([str(tmp_path / "mine")])) == ["contract"]


def test_a_class_that_cannot_be_expressed_says_so_itself(write: Callable[..., Path], tmp_path: Path) -> None:
    write("mine/contract.py", CONTRACT.replace("title: str", "title: dict[str, str]"))
    with pytest.raises(SchemaDefinitionError, match=r"Contract\.title"):
        Registry.load([str(tmp_path / "mine")])


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(
        UnknownSchemaError, match="there is no schema 'reciept'; there are invoice, job_posting"
    ):
        Registry.load().get("reciept")


def test_a_schema_without_examples_is_named_with_its_file(write: Callable[..., Path], tmp_path: Path) -> None:
    write("mine/contract.py")
    registry = Registry.load([str(tmp_path / "mine")])
    (fault,) = registry.check("contract")
    assert fault.file == str(tmp_path / "mine" / "contract.jsonl")
    with pytest.raises(ExampleError, match="contract have 1 fault"):
        registry.get("contract")


@pytest.mark.parametrize(
    ("class_name", "name"),
    [
        ("Receipt", "receipt"),
        ("SupportTicket", "support_ticket"),
        ("NDA", "nda"),
        ("HTMLPage", "html_page"),
        ("PageHTML", "page_html"),
        ("Form1099", "form1099"),
        ("Form1099Misc", "form1099_misc"),
        ("already_snake", "already_snake"),
    ],
)
def test_names_are_those_of_classes_in_snake_case(class_name: str, name: str) -> None:
    assert schema_name(type(class_name, (ExtractionSchema,), {})) == name


DIGEST = """
import sys
from schemas import Example
from schemas.base import Schema
from schemas.registry import Registry
registry = Registry.load([sys.argv[1]])
print(Schema(registry.entry("contract").model, [Example(text="T", record={"title": "T"})]).digest)
print(registry.get("invoice").digest)
"""

VALIDATED = '''
import enum
import functools
from datetime import date
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, Field, field_serializer, field_validator, model_validator

from schemas import ExtractionSchema, SchemaSettings


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


def shout(value):
    return value.upper()


def keep(times, value):
    return value * times


class Line(BaseModel):
    """A line."""

    name: Annotated[str, AfterValidator(lambda value: value.strip())]

    @field_validator("name")
    @classmethod
    def _no_semicolon(cls, value):
        if ";" in value:
            raise ValueError("semicolon")
        return value


class Contract(ExtractionSchema):
    """A contract."""

    settings: ClassVar[SchemaSettings] = SchemaSettings(day_first=True)

    title: Annotated[str, AfterValidator(shout)] = Field(description="its title", max_length=80)
    day: date | None
    total: Decimal | None = Field(ge=0)
    level: Level | None
    lines: list[Line]
    tags: list[Annotated[str, AfterValidator(functools.partial(keep, 1))]]

    @model_validator(mode="after")
    def _whole(self):
        return self

    @field_serializer("title")
    def _plain(self, value: str) -> str:
        return value
'''

_count = iter(range(1000))


def digest(tmp_path: Path, source: str, examples: list[Example] | None = None) -> str:
    directory = tmp_path / f"version{next(_count)}"
    directory.mkdir()
    (directory / "contract.py").write_text(source, encoding="utf-8")
    model = Registry.load([str(directory)]).entry("contract").model
    return Schema(model, examples or []).digest


CHANGES = {
    "a field's name": ("day: date", "signed: date"),
    "a field's type": ("day: date | None", "day: str | None"),
    "a description": ('"its title"', '"the title"'),
    "the docstring": ('"""A contract."""', '"""An agreement."""'),
    "a nested docstring": ('"""A line."""', '"""One line."""'),
    "a constraint": ("ge=0", "ge=1"),
    "a constraint of a list's items": ("(keep, 1))]", "(keep, 1)), Field(min_length=2)]"),
    "a length": ("max_length=80", "max_length=81"),
    "a choice": ('HIGH = "high"', 'HIGH = "hi"'),
    "a setting": ("day_first=True", "day_first=True, overlap_tokens=7"),
    "how examples are chosen": ("day_first=True", 'day_first=True, shots="nearest"'),
    "a setting that no field uses": ("day_first=True", "day_first=True, describe_fields=True"),
    "a validator of the class": ('return self\n\n', 'return self or self\n\n'),
    "a validator of a nested class": ('if ";" in value', 'if ":" in value'),
    "a function in the annotation": ("value.upper()", "value.lower()"),
    "a lambda in a nested annotation": ("value.strip()", "value.rstrip()"),
    "a function in a partial": ("value * times", "value * (times + 1)"),
    "a serializer": ("return value\n", "return value + ''\n"),
    "the order of fields": ("    day: date | None\n    total: Decimal | None = Field(ge=0)\n",
                            "    total: Decimal | None = Field(ge=0)\n    day: date | None\n"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_the_digest_changes_with(tmp_path: Path, change: str) -> None:
    old, new = CHANGES[change]
    assert old in VALIDATED
    assert digest(tmp_path, VALIDATED) != digest(tmp_path, VALIDATED.replace(old, new))


def test_the_digest_changes_with_examples_and_their_order(tmp_path: Path) -> None:
    one, two = (Example(text=text, record={"title": text}) for text in ("One", "Two"))
    versions = [[], [one], [two], [one, two], [two, one], [one, Example(text="Two", record={"title": None})]]
    assert len({digest(tmp_path, VALIDATED, examples) for examples in versions}) == len(versions)


def test_the_digest_stays_with_comments_and_the_place_of_the_file(tmp_path: Path) -> None:
    assert digest(tmp_path, VALIDATED) == digest(tmp_path, VALIDATED + "\n# nothing\nUNUSED = 1\n")


def test_the_digest_is_the_same_in_every_process(write: Callable[..., Path], tmp_path: Path) -> None:
    write("mine/contract.py", VALIDATED)
    command = [sys.executable, "-c", DIGEST, str(tmp_path / "mine")]

    def run(seed: str) -> str:
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path.cwd())}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    outputs = {run(seed) for seed in ("0", "1", "4711")}
    assert len(outputs) == 1
    assert [len(line) for line in outputs.pop().split()] == [64, 64]


def test_a_class_without_source_has_a_digest() -> None:
    namespace: dict[str, Any] = {}
    exec(VALIDATED, namespace)
    assert len(Schema(namespace["Contract"], ()).digest) == 64


def test_a_schema_with_other_settings_is_a_version_of_its_own() -> None:
    class Contract(ExtractionSchema):
        settings: ClassVar[SchemaSettings] = SchemaSettings(day_first=True)

        day: date

    one = Schema(Contract, ())
    other = Schema(Contract, (), SchemaSettings(day_first=False, shots="nearest"))
    assert (other.name, other.settings.shots) == ("contract", "nearest")
    assert other.form == schema_form(Contract, other.settings) != one.form
    assert Schema(Contract, (), one.settings).digest == one.digest != other.digest


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="shots"):
        SchemaSettings(shots="last")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="day_frist"):
        SchemaSettings(day_frist=True)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="max_shots"):
        Step(max_shots=1)
    with pytest.raises(ValueError, match="ladder"):
        SchemaSettings(ladder=())
