"""Schemas by name: the bundled catalog and the user's own directories and modules."""

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from schemas.base import ExtractionSchema, Schema, schema_name
from schemas.errors import DuplicateSchemaError, GleanerError, SchemaError, UnknownSchemaError
from schemas.examples import ExampleFault, load_examples, read_examples

CATALOG = "schemas.catalog"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A schema class and where it was found."""

    name: str
    model: type[ExtractionSchema]
    file: Path

    @property
    def examples_file(self) -> Path:
        return self.file.with_name(f"{self.name}.jsonl")

    @property
    def samples_dir(self) -> Path:
        return self.file.parent / "samples" / self.name


class Registry:
    """The schemas that can be extracted; examples are read when a schema is asked for."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: dict[str, Entry] = {}
        for entry in entries:
            self._add(entry)

    @classmethod
    def load(cls, sources: Iterable[str] = ()) -> "Registry":
        """The catalog and the schemas of `sources`: directories of .py files, or importable module names."""
        entries = [entry for module in _modules_of_package(CATALOG) for entry in _entries(module)]
        for source in sources:
            entries += [entry for module in _modules(source) for entry in _entries(module)]
        return cls(entries)

    def names(self) -> list[str]:
        return sorted(self._entries)

    def entry(self, name: str) -> Entry:
        """Where a schema was found.

        Raises:
            UnknownSchemaError: no schema has this name; the message lists those there are.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownSchemaError(
                f"there is no schema {name!r}; there are {', '.join(self.names())}.",
                hint="Put your own in a directory and name it in GLEANER_SCHEMAS.",
                name=name,
            ) from None

    def get(self, name: str) -> Schema:
        """A schema with its examples.

        Raises:
            UnknownSchemaError: no schema has this name.
            ExampleError: its examples file has faults.
        """
        entry = self.entry(name)
        bare = Schema(entry.model, ())
        return Schema(entry.model, load_examples(entry.examples_file, bare))

    def check(self, name: str) -> list[ExampleFault]:
        """Every fault of a schema's examples."""
        entry = self.entry(name)
        return read_examples(entry.examples_file, Schema(entry.model, ())).faults

    def _add(self, entry: Entry) -> None:
        first = self._entries.setdefault(entry.name, entry)
        if first.model is not entry.model:
            raise DuplicateSchemaError(
                f"two schemas are named {entry.name!r}: in {first.file} and in {entry.file}.",
                hint="Rename one of the classes.",
                name=entry.name,
            )


def _modules_of_package(name: str) -> Iterator[ModuleType]:
    package = importlib.import_module(name)
    for info in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f"{name}.{info.name}")


def _modules(source: str) -> Iterator[ModuleType]:
    directory = Path(source).expanduser()
    if directory.is_dir():
        for file in sorted(directory.glob("*.py")):
            if not file.name.startswith("_"):
                yield _module_of_file(file.resolve())
        return
    try:
        module = importlib.import_module(source)
    except ImportError as exc:
        raise SchemaError(
            f"GLEANER_SCHEMAS names {source!r}: neither a directory nor an importable module ({exc}).",
            hint="Give directories or module names, separated by commas.",
        ) from exc
    yield module
    if hasattr(module, "__path__"):
        yield from _modules_of_package(source)


def _module_of_file(file: Path) -> ModuleType:
    # the path is in the name, so that two directories may both hold a contract.py
    name = f"gleaner_schemas_{hashlib.sha256(str(file.parent).encode()).hexdigest()[:8]}.{file.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise SchemaError(f"{file} cannot be imported.", hint="Give a directory of Python files.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except GleanerError:
        del sys.modules[name]
        raise
    except Exception as exc:
        del sys.modules[name]
        raise SchemaError(
            f"{file} cannot be imported: {type(exc).__name__}: {exc}.", hint="Correct the file and try again."
        ) from exc
    return module


def _entries(module: ModuleType) -> Iterator[Entry]:
    for value in vars(module).values():
        is_schema = isinstance(value, type) and issubclass(value, ExtractionSchema)
        if is_schema and value.__module__ == module.__name__:
            yield Entry(name=schema_name(value), model=value, file=Path(str(module.__file__)))
