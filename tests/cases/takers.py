"""Reads a source as a pipeline does, without a database."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.readers.base import Read
from pipelines.sources.feed import Asked, Feed, Part, Value


class Taker:
    """Holds the cursor."""

    def __init__(self, source: Feed) -> None:
        self.source = source
        self.cursor: dict[str, Value] = {}
        self.num_unchanged = 0

    def known(self, keys: Iterable[str]) -> Mapping[str, Value]:
        return {key: self.cursor[key] for key in keys if key in self.cursor}

    def take(self, most: int | None = None, **span: Any) -> list[Read]:
        """What is new; it breaks off after the part with which there are `most` documents."""
        taken: list[Read] = []
        self.num_unchanged = 0
        seen: set[str] = set()
        for part in self.source.read(Asked(known=self.known, **span)):
            self._commit(part, taken, seen)
            if most is not None and len(taken) >= most:
                return taken
        if self.source.forgets:
            self.cursor = {key: value for key, value in self.cursor.items() if key in seen}
        return taken

    def _commit(self, part: Part, taken: list[Read], seen: set[str]) -> None:
        # as the database keeps it
        self.cursor |= json.loads(json.dumps(dict(part.cursor)))
        seen |= set(part.cursor)
        taken += part.reads
        self.num_unchanged += part.num_unchanged

    def texts(self, most: int | None = None, **span: Any) -> list[str | None]:
        return [one.text for one in self.take(most, **span)]
