"""Settings, read once per process from GLEANER_* variables and `.env`, and nowhere else."""

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ByteSize, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from schemas.errors import ConfigurationError
from workers.prompt import CONDITION_TOKENS

EMBEDDED_CHECKPOINT = Path(__file__).resolve().parent.parent / "checkpoints" / "hrm-text-small"


class Settings(BaseSettings):
    """What an operator may set; each field is the variable GLEANER_<NAME>."""

    model_config = SettingsConfigDict(
        env_prefix="GLEANER_",
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    data_dir: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        default=Path(".gleaner"), description="where the SQLite file, locks and reports live"
    )
    database_url: SecretStr | None = Field(
        default=None, description="SQLAlchemy URL; default: SQLite in the data directory"
    )
    broker_url: SecretStr | None = Field(
        default=None, description="Redis URL of the queue; default: no broker, `gleaner run` works alone"
    )
    schemas: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="directories and modules with your own schemas, separated by commas"
    )
    pipelines: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="directories and modules with your own pipelines, separated by commas"
    )
    migrations: Annotated[Path | None, AfterValidator(lambda path: path and path.expanduser())] = Field(
        default=None, description="directory of your own schemas' revisions; default: in the data directory"
    )
    model: str = Field(
        default=str(EMBEDDED_CHECKPOINT), description="checkpoint: a directory with an HRM-Text model"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1")
    dtype: Literal["auto", "bfloat16", "float32"] = Field(
        default="auto", description="auto: bfloat16 on a GPU, float32 on a CPU"
    )
    kv_memory: ByteSize | None = Field(
        default=None,
        gt=0,
        description="most memory of the KV cache, as 4GB: it limits how many prompts are in hand at once",
    )
    kv_dtype: Literal["auto", "fp8"] = Field(
        default="auto",
        description="auto: that of the weights; fp8: half the KV memory of bfloat16, and long answers are worse",
    )
    cycles: str | None = Field(
        default=None, description="depth of the model as 2x3, H_cycles x L_cycles; default: its config's"
    )
    drafts: bool = Field(
        default=True, description="guess by copying how answers go on: the same answers in fewer steps"
    )
    batch_size: int = Field(
        default=8, ge=1, description="documents that are given to the engine and committed together"
    )
    chunk_size: int = Field(default=32, ge=1, description="jobs per message")
    concurrency: int = Field(default=2, ge=1, description="chunks a worker has in hand at once")
    lease_s: float = Field(default=120.0, gt=0, description="seconds until an unrenewed claim goes back")
    max_attempts: int = Field(default=3, ge=1, description="failures by transient errors before a job fails")
    retry_s: float = Field(
        default=5.0, ge=0, description="seconds until a failed job is tried again; doubled each time"
    )
    sweep_s: float = Field(
        default=15.0, gt=0, description="seconds between looks for expired leases and unsent jobs"
    )
    resend_after_s: float = Field(
        default=600.0, gt=0, description="seconds until a message that nobody took is sent again"
    )
    max_messages: int = Field(
        default=1000, ge=1, description="messages in the queue; further jobs wait in the database"
    )
    grace_s: float = Field(
        default=60.0, gt=0, description="seconds a stopping worker may still finish what it has in hand"
    )
    document_time_limit_s: float = Field(
        default=300.0, gt=0, description="seconds one window may decode before it is truncated"
    )
    engine_time_limit_s: float = Field(
        default=600.0,
        gt=0,
        description="seconds without a step of the engine until the process ends, for a fresh one to be started",
    )
    max_bytes: int = Field(default=20_000_000, ge=1, description="larger files fail with a reason")
    max_pages: int = Field(default=500, ge=1, description="longer PDFs fail with a reason")
    max_chars: int = Field(default=2_000_000, ge=1, description="longer texts fail with a reason")
    max_parse_s: float = Field(
        default=60.0,
        gt=0,
        description="seconds a parser may compute for a document; then it fails with a reason",
    )
    max_parse_memory: ByteSize = Field(
        default=ByteSize(2_000_000_000),
        ge=300_000_000,
        description="memory of the parsers' process, as 2GB; what takes more fails with a reason",
    )
    # NoDecode: pydantic-settings' own decoding fails without naming the variable
    condition_tokens: Annotated[dict[str, str], NoDecode] = Field(
        default=CONDITION_TOKENS, description="special token of each condition, as JSON"
    )
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="where workers and beat show metrics, each at a port of its own",
    )
    metrics_host: str = Field(default="127.0.0.1", description="address of that port; 0.0.0.0: all of them")
    traces: bool = Field(
        default=False,
        description="send OpenTelemetry traces as the OTEL_* variables say; needs the extra otel",
    )
    log_format: Literal["console", "json"] = Field(default="console", description="console or json")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="warning", description="debug, info, warning or error"
    )

    @field_validator("broker_url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("redis://", "rediss://", "sentinel://")):
            raise ValueError("It is not a URL as redis://localhost:6379/0")
        return value

    @field_validator("schemas", "pipelines", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @field_validator("condition_tokens", mode="before")
    @classmethod
    def _parse(cls, value: object) -> object:
        return json.loads(value) if isinstance(value, str) else value

    @property
    def database(self) -> str:
        """The database's URL, password included: for connecting, not for showing."""
        if self.database_url:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.absolute() / 'gleaner.db'}"

    @property
    def revisions(self) -> Path:
        """The directory of revisions of typed tables."""
        return self.migrations or self.data_dir / "migrations"

    @property
    def broker(self) -> str | None:
        """The broker's URL, password included: for connecting, not for showing."""
        return self.broker_url.get_secret_value() if self.broker_url else None


@cache
def get_settings() -> Settings:
    """The settings of this process.

    Raises:
        ConfigurationError: a variable does not hold what it should; names the variable, never a secret.
    """
    try:
        return Settings()
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        name = "_".join(["GLEANER", *(str(part).upper() for part in first["loc"][:1])])
        said = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{name}: {said}.", hint="See the table of settings in the README.") from exc
