"""How a schema differs from a stored version of it, and what of that has to be extracted again."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from schemas.base import Schema, SchemaSettings
from schemas.changes import Change, asked_again, carry, changes
from workers.store.versions import StoredVersion

# what is copied is read anew under these, without the model
_READING = frozenset({"day_first", "decimal_comma"})


@dataclass(frozen=True)
class Difference:
    """From a stored version to the schema as it is."""

    stored: StoredVersion
    schema: Schema

    @cached_property
    def changes(self) -> list[Change]:
        """What happened to the fields; all are new if the version is older than such notes."""
        return changes(self.stored.fields or {}, self.schema.form)

    @cached_property
    def asked_again(self) -> list[str]:
        """The fields that are new or changed to the model."""
        return asked_again(self.changes)

    @cached_property
    def settings(self) -> list[str]:
        """The settings that differ, and `descriptions` where they are part of the prompt."""
        now = self.schema.settings.model_dump(mode="json")
        # a setting that the version did not know was as it is by default
        then = SchemaSettings().model_dump(mode="json") | self.stored.settings
        differ = [name for name in now if now[name] != then[name]]
        is_told = self.schema.settings.describe_fields and "describe_fields" not in differ
        return differ + ["descriptions"] * (is_told and self.schema.wire_schema != self.stored.wire_schema)

    @cached_property
    def other_examples(self) -> bool:
        """Whether the examples show something else of the fields that are not asked again."""
        return self._shown_then() != self._shown_now()

    @property
    def is_only_in_rules(self) -> bool:
        """Constraints, validators or descriptions are all that differs."""
        is_other = self.schema.digest != self.stored.digest
        return is_other and not (self.changes or self.settings or self.other_examples)

    @property
    def same_answers(self) -> bool:
        """Whether the model would be asked the same and shown the same: its answers need only be read anew."""
        return not (self.asked_again or self.is_stale)

    @property
    def is_stale(self) -> bool:
        """Whether also the fields that did not change would be asked for otherwise."""
        return self.other_examples or bool(set(self.settings) - _READING)

    def _shown_then(self) -> list[Any]:
        form = self.schema.form
        return [
            (example["text"], self._kept(carry(form, example["record"])[0]))
            for example in self.stored.examples
        ]

    def _shown_now(self) -> list[Any]:
        return [(example.text, self._kept(example.record)) for example in self.schema.examples]

    def _kept(self, record: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in record.items() if name not in self.asked_again}
