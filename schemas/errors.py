"""The exception tree; whether to retry is a property of the type.

GleanerError
├── TerminalError                 doing it again gives the same
│   ├── ConfigurationError        a setting, a flag, a path
│   │   └── PipelineError         a pipeline that cannot be as it is declared
│   ├── SourceError               a pipeline's source that cannot be read to its end
│   ├── SchemaError
│   │   ├── SchemaDefinitionError a class that the two forms cannot express
│   │   ├── UnknownSchemaError
│   │   ├── DuplicateSchemaError
│   │   ├── ExampleError          an examples file with faults
│   │   └── TableError            a schema that cannot have its typed table
│   ├── DocumentError             a document that cannot be read
│   │   ├── UnreadableDocumentError, EmptyDocumentError, EncryptedDocumentError,
│   │   └── BinaryDocumentError, DocumentTooLargeError, UnsupportedFormatError
│   ├── ConversionError           a printed text that does not read as its type
│   ├── PromptError               two examples and a text that do not fit the positions
│   ├── GrammarError              a grammar the decoder refuses
│   ├── CheckpointError           a model directory that cannot be used
│   └── DatabaseOutOfDateError    migrations are missing
└── TransientError                nobody's fault, worth another try
    ├── DatabaseAwayError
    ├── BrokerAwayError
    ├── RunTakenError             another process took the run over
    └── DeviceError               out of memory
        └── DeviceLostError       only a fresh process gets the device back
"""

import re
from typing import ClassVar


class GleanerError(Exception):
    """Says what is wrong, with which value, what is allowed, and in `hint` the next step."""

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "", **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts

    @property
    def code(self) -> str:
        """The stable word that is stored and grouped by, as `encrypted_document`."""
        name = type(self).__name__.removesuffix("Error")
        return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        # the default would call the class with positional arguments alone and lose hint and facts
        return (type(self), (self.message,), self.__dict__)


class TerminalError(GleanerError):
    """Trying again gives the same."""


class TransientError(GleanerError):
    """Nobody's fault: worth another try."""

    retryable = True


class ConfigurationError(TerminalError):
    """A setting, flag or path that cannot be used."""


class PipelineError(ConfigurationError):
    """A pipeline cannot be as it is declared."""


class SourceError(TerminalError):
    """The source of a pipeline cannot be read to its end."""


class SchemaError(TerminalError):
    """Something is wrong with a schema."""


class SchemaDefinitionError(SchemaError):
    """A schema class holds what the wire and record forms cannot express."""


class UnknownSchemaError(SchemaError):
    """No schema has this name."""


class DuplicateSchemaError(SchemaError):
    """Two schemas have one name."""


class ExampleError(SchemaError):
    """An examples file has faults; `facts["faults"]` lists them."""


class TableError(SchemaError):
    """A schema cannot have its typed tables."""


class DocumentError(TerminalError):
    """A document cannot be read."""


class UnreadableDocumentError(DocumentError):
    """The bytes cannot be fetched or parsed."""


class EmptyDocumentError(DocumentError):
    """There is no text in it."""


class EncryptedDocumentError(DocumentError):
    """It is protected by a password."""


class BinaryDocumentError(DocumentError):
    """It is not text in any encoding."""


class DocumentTooLargeError(DocumentError):
    """It passes the limit on bytes, pages or characters."""


class UnsupportedFormatError(DocumentError):
    """No reader knows its format."""


class ConversionError(TerminalError):
    """A printed text does not read as the type of its field."""


class PromptError(TerminalError):
    """The prompt cannot be made to fit."""


class GrammarError(TerminalError):
    """The decoder refuses the grammar of a request."""


class CheckpointError(TerminalError):
    """A model directory cannot be used."""


class DatabaseOutOfDateError(TerminalError):
    """The database lacks migrations."""


class DatabaseAwayError(TransientError):
    """The database does not answer."""


class BrokerAwayError(TransientError):
    """The broker does not answer."""


class RunTakenError(TransientError):
    """Another process took the run of a pipeline over."""


class DeviceError(TransientError):
    """The device is out of memory or failed."""


class DeviceLostError(DeviceError):
    """The device is lost to this process: a fresh one is needed."""
