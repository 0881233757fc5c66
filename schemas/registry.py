"""Schemas by name: the bundled catalog and the user's own directories and modules."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from schemas.base import ExtractionSchema, Schema, schema_name
from schemas.errors import DuplicateSchemaError, SchemaError, UnknownSchemaError
from schemas.examples import ExampleFault, load_examples, read_examples
from schemas.modules import modules

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
        self._schemas: dict[str, Schema] = {}
        for entry in entries:
            self._add(entry)

    @classmethod
    def load(cls, sources: Iterable[str] = ()) -> "Registry":
        """The catalog and the schemas of `sources`: directories of .py files, or importable module names."""
        found = (modules(source, "GLEANER_SCHEMAS", SchemaError) for source in (CATALOG, *sources))
        return cls(entry for each in found for module in each for entry in _entries(module))

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
        """A schema with its examples, as they were when it was first asked for.

        Raises:
            UnknownSchemaError: no schema has this name.
            ExampleError: its examples file has faults.
        """
        if name not in self._schemas:
            entry = self.entry(name)
            bare = Schema(entry.model, ())
            self._schemas[name] = Schema(entry.model, load_examples(entry.examples_file, bare))
        return self._schemas[name]

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


def _entries(module: ModuleType) -> Iterator[Entry]:
    for name, value in vars(module).items():
        if not isinstance(value, type) or not issubclass(value, ExtractionSchema) or name.startswith("_"):
            continue
        # imported ones belong to their own module, and a class without fields is a base of others
        if value.__module__ == module.__name__ and value.model_fields:
            yield Entry(name=schema_name(value), model=value, file=Path(str(module.__file__)))
