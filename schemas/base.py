"""`ExtractionSchema`, what a user writes, and `Schema`, what is made of it."""

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, ClassVar, Literal

from annotated_types import BaseMetadata
from jsonschema.protocols import Validator
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from schemas.checker import checker
from schemas.errors import SchemaDefinitionError
from schemas.examples import Example
from schemas.forms import ObjectForm
from schemas.translate import form_of
from schemas.wire import wire_schema

JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
ISO_DATETIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$"

Shots = Literal["first", "nearest"]
ExamplesCache = Literal["off", "on"]


class Step(BaseModel):
    """One step of the ladder: how the model is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    condition: str = "direct"
    max_shots: int = Field(default=8, ge=2, le=8)
    # leave out this many of the first, or nearest, examples if two others remain
    skip_shots: int = Field(default=0, ge=0)
    # the depth of the model as 2x3, H_cycles x L_cycles; None: as the process runs it
    cycles: str | None = Field(default=None, pattern="^[1-9]x[1-9]$")


class SchemaSettings(BaseModel):
    """How a schema's documents are read and asked; a change makes a new schema version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # 03/04/2024 is the third of April
    day_first: bool = False
    # 1.234 is one thousand two hundred and thirty-four
    decimal_comma: bool = False
    # a record that does not hold is asked for again, one step further
    ladder: tuple[Step, ...] = Field(default=(Step(), Step(condition="synth,cot")), min_length=1)
    # which examples a prompt shows: the first of the file, or those most like the text, the most like one last
    shots: Shots = "first"
    # whether the examples are read without sight of the document, so that they are computed once for all documents
    examples_cache: ExamplesCache = "off"
    # positions kept free for the answer
    max_answer_tokens: int = Field(default=768, ge=16)
    # the longest text that is asked for at once, in tokens; None: whatever fits beside two examples
    window_tokens: int | None = Field(default=None, ge=32)
    # tokens of text that neighbouring windows share
    overlap_tokens: int = Field(default=96, ge=0)
    # an optional value or one of a list that the model is less sure of is left out; its evidence keeps it
    empty_below: float = Field(default=0.0, ge=0.0, le=1.0)
    # put the descriptions of schema and fields before the examples
    describe_fields: bool = False


class ExtractionSchema(BaseModel):
    """Subclass it: a docstring, typed fields with descriptions, and an examples file beside it."""

    model_config = ConfigDict(extra="forbid", validate_default=True)

    settings: ClassVar[SchemaSettings] = SchemaSettings()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "settings" in cls.model_fields or not isinstance(cls.settings, SchemaSettings):
            raise SchemaDefinitionError(
                f"{cls.__name__}.settings: this name is for the settings of the schema.",
                hint="Write `settings: ClassVar[SchemaSettings] = SchemaSettings(...)`, and name a field otherwise.",
                field=f"{cls.__name__}.settings",
            )
        if cls.model_fields:
            schema_form(cls)


def schema_form(model: type[ExtractionSchema], settings: SchemaSettings | None = None) -> ObjectForm:
    """The form tree of a schema class under its settings, or others."""
    settings = settings or model.settings
    return form_of(model, day_first=settings.day_first, decimal_comma=settings.decimal_comma)


def schema_name(model: type[ExtractionSchema]) -> str:
    """`SupportTicket` is `support_ticket`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", model.__name__).lower()


class Schema:
    """A schema class with its examples and its settings, or others: all that extraction needs, immutable."""

    def __init__(
        self,
        model: type[ExtractionSchema],
        examples: Iterable[Example],
        settings: SchemaSettings | None = None,
    ) -> None:
        self.model = model
        self.name = schema_name(model)
        self.settings = settings or model.settings
        self.form = schema_form(model, self.settings)
        self.examples = tuple(examples)

    def with_settings(self, settings: SchemaSettings) -> "Schema":
        """The same class and examples under other settings: another version of the schema."""
        return Schema(self.model, self.examples, settings)

    @cached_property
    def wire_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of what the model writes."""
        return {"$schema": JSON_SCHEMA_DIALECT, "title": self.name, **wire_schema(self.form)}

    @cached_property
    def record_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of what is validated and stored."""
        schema = self.model.model_json_schema(
            mode="serialization", by_alias=False, schema_generator=_RecordJsonSchema
        )
        for part in (schema, *schema.get("$defs", {}).values()):
            if "properties" in part:
                part |= {"additionalProperties": False, "required": list(part["properties"])}
        return {"$schema": JSON_SCHEMA_DIALECT, **schema}

    @cached_property
    def wire_checker(self) -> Validator:
        """Of wire records by jsonschema."""
        return checker(self.wire_schema)

    @cached_property
    def record_checker(self) -> Validator:
        """Of records as JSON by jsonschema."""
        return checker(self.record_schema)

    @cached_property
    def digest(self) -> str:
        """The schema version: sha256 over class, examples and settings."""
        parts = {
            "name": self.name,
            "form": repr(self.form),
            "record_schema": self.record_schema,
            "rules": list(_rules(self.model)),
            "examples": [(example.text, example.record) for example in self.examples],
            "settings": self.settings.model_dump(mode="json"),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def only(self, names: Collection[str]) -> "Schema":
        """The schema as it is asked for these fields alone: its form and its examples restricted alike.

        What it answers is a part of a record, which only the whole schema validates.
        """
        part = Schema(self.model, (), self.settings)
        part.form = replace(
            self.form, fields=tuple((name, form) for name, form in self.form.fields if name in names)
        )
        part.examples = tuple(
            Example(
                text=example.text, record={name: example.record[name] for name, _ in part.form.wire_fields}
            )
            for example in self.examples
        )
        return part

    def __repr__(self) -> str:
        return f"Schema({self.name}, {len(self.examples)} examples, {self.digest[:12]})"


class _RecordJsonSchema(GenerateJsonSchema):
    def datetime_schema(self, schema: Any) -> JsonSchemaValue:
        # the format `date-time` demands a time zone, which documents seldom print
        return {"type": "string", "pattern": ISO_DATETIME}


def _rules(model: type[BaseModel]) -> Iterator[str]:
    """The constraints and the code that a model, and those nested in it, add to their types."""
    found = model.__pydantic_decorators__
    for group in (
        found.field_validators,
        found.model_validators,
        found.field_serializers,
        found.model_serializers,
    ):
        yield from (_source(decorator.func) for decorator in group.values())
    for name, field in model.model_fields.items():
        for part in (*_parts(field.annotation), *field.metadata):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _rules(part)
            elif callable(function := getattr(part, "func", None)):
                yield f"{name}: {_source(function)}"
            elif isinstance(part, BaseMetadata):
                yield f"{name}: {part!r}"


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation, the types in it and what `Annotated` and `Field` add to them."""
    yield annotation
    for attribute in ("__args__", "__metadata__", "metadata"):
        for part in getattr(annotation, attribute, ()):
            yield from _parts(part)


def _source(function: Callable[..., Any]) -> str:
    function = function.func if isinstance(function, partial) else function
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        # built in, or typed at a prompt: no source to read
        return str(getattr(function, "__qualname__", type(function).__qualname__))
