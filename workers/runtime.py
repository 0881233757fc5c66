"""The composition root: builds the store, the registry and the engine of this process once, from the settings."""

import itertools
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property

import sqlalchemy as sa
from pydantic import ValidationError

from schemas.base import Schema, SchemaSettings
from schemas.errors import GleanerError
from schemas.registry import Registry
from workers.crowd import Crowd
from workers.engine.identity import identify
from workers.engine.protocol import Checkpoint, Engine
from workers.extract import Extractor
from workers.prompt import Envelope
from workers.settings import Settings, get_settings
from workers.store.migrate import require_current, upgrade
from workers.store.session import open_store
from workers.store.versions import VersionHead
from workers.tally import Tally


class Runtime:
    """What tasks and commands work with; parts are built when first asked for."""

    def __init__(self, settings: Settings, *, engine: Engine | None = None) -> None:
        self.settings = settings
        # set when the process is to end: chunks in hand stop between documents and give the rest back
        self.stopping = threading.Event()
        # of this process; claims of its chunks begin with it
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.tally = Tally()
        self.crowd = Crowd()
        # why the process is to end although nobody told it to
        self.broken: GleanerError | None = None
        self.owners: set[str] = set()
        self._engine = engine
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._extractors: dict[tuple[str, tuple[str, ...] | None], Extractor] = {}
        self._versions: dict[str, Schema | None] = {}

    @cached_property
    def store(self) -> sa.Engine:
        """The database, migrated: the embedded one migrates itself, a server's is for `gleaner db upgrade`."""
        store = open_store(self.settings.database)
        if store.dialect.name == "sqlite":
            upgrade(store)
        else:
            require_current(store)
        return store

    @cached_property
    def registry(self) -> Registry:
        return Registry.load(self.settings.schemas)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Which model the settings name, read without loading it."""
        if self._engine:
            return self._engine.checkpoint
        return identify(self.settings.model, self.settings.cycles)

    @property
    def engine(self) -> Engine:
        """The engine, loaded once per process."""
        with self._lock:
            if self._engine is None:
                self._engine = self._load()
            return self._engine

    @contextmanager
    def owner(self) -> Iterator[str]:
        """A name for the leases of one chunk: they expire with it, whatever else the process still does."""
        name = f"{self.name}:{next(self._numbers)}"
        self.owners.add(name)
        try:
            yield name
        finally:
            self.owners.discard(name)

    def break_down(self, why: GleanerError) -> None:
        """Stop, as what this process needs is lost."""
        self.broken = self.broken or why
        self.stopping.set()

    def schema_of(self, version: VersionHead) -> Schema | None:
        """The schema of a stored version, with the settings that a pipeline gave it; None if it is not here as it was.

        One that is not here, or has faults, is for workers that have it.
        """
        if version.digest not in self._versions:
            self._versions[version.digest] = self._rebuilt(version)
        return self._versions[version.digest]

    def _rebuilt(self, version: VersionHead) -> Schema | None:
        with suppress(GleanerError, ValidationError):
            schema = self.registry.get(version.name)
            if schema.digest != version.digest:
                schema = schema.with_settings(SchemaSettings.model_validate(version.settings))
            return schema if schema.digest == version.digest else None
        return None

    def extractor(self, schema: Schema, fields: tuple[str, ...] | None = None) -> Extractor:
        """The extractor of a schema version, or of some fields of it, with its examples tokenized once."""
        engine = self.engine
        key = (schema.digest, fields)
        with self._lock:
            if key not in self._extractors:
                self._extractors[key] = Extractor(
                    schema,
                    engine,
                    envelope=Envelope(conditions=self.settings.condition_tokens),
                    time_limit_s=self.settings.document_time_limit_s,
                    fields=fields,
                )
            return self._extractors[key]

    def _load(self) -> Engine:
        # imported here, so that what only needs SQL starts without torch
        from workers.engine.engine import HrmTextEngine

        return HrmTextEngine.load(
            self.settings.model,
            device=self.settings.device,
            dtype=self.settings.dtype,
            kv_memory=self.settings.kv_memory,
            kv_dtype=self.settings.kv_dtype,
            cycles=self.settings.cycles,
            drafts=self.settings.drafts,
        )


_current: Runtime | None = None


def get_runtime() -> Runtime:
    """The runtime of this process, from the environment unless another was set."""
    global _current
    if _current is None:
        _current = Runtime(get_settings())
    return _current


def set_runtime(runtime: Runtime | None) -> None:
    """Give the tasks of this process a runtime with other settings or an engine of the caller's."""
    global _current
    _current = runtime
