"""Schemas, the checkpoint, the device and the prompt."""

from collections.abc import Iterator

from safetensors import SafetensorError, safe_open

from pipelines.checkup.database import ask
from pipelines.checkup.finding import Said, error, ok, warning
from workers.engine import identity
from workers.prompt import Envelope
from workers.runtime import Runtime
from workers.store import vitals


def schemas(runtime: Runtime) -> Iterator[Said]:
    """They are there, and their examples hold."""
    registry = runtime.registry
    faults = {name: len(found) for name in registry.names() if (found := registry.check(name))}
    if faults:
        yield warning(f"there are faults in {', '.join(faults)}", "`gleaner schemas check` names them.")
    yield ok(", ".join(registry.names()))


def checkpoint(runtime: Runtime) -> Iterator[Said]:
    """Its files are whole, and its digest is the one that jobs wait for."""
    has = runtime.checkpoint
    for file in identity.weights(identity.resolve(runtime.settings.model)):
        try:
            with safe_open(file, framework="np") as opened:
                opened.keys()
        except SafetensorError as exc:
            yield error(f"{file} is damaged: {exc}", "Copy or fetch the checkpoint again.")
    said = f"{has.name}, digest {has.digest[:12]}"
    if has.is_placeholder:
        yield warning(f"{said}: a placeholder with random weights", "Set GLEANER_MODEL to a trained one.")
    else:
        yield ok(said)
    for other in ask(runtime, vitals.read) or ():
        if not other.waiting or other.workers.get("alive") or other.digest == has.digest:
            continue
        num = sum(waiting.num for waiting in other.waiting.values())
        found = f"{num} jobs wait for {other.name}, digest {other.digest[:12]}, which no worker has"
        yield warning(found, "Start a worker with that checkpoint, or cancel them: `gleaner jobs cancel`.")


def device(runtime: Runtime) -> Iterator[Said]:
    """The checkpoint loads onto it."""
    yield ok(str(runtime.engine))


def prompt(runtime: Runtime) -> Iterator[Said]:
    """The envelope's tokens exist, a document cannot forge them, and an answer parses."""
    tokenizer = runtime.engine.tokenizer
    envelope = Envelope(conditions=runtime.settings.condition_tokens)
    names = [envelope.start, envelope.end, *envelope.conditions.values()]
    ids = {tokenizer.special(name) for name in names}
    if ids & set(tokenizer.encode("".join(names))):
        yield error("text becomes special tokens", "Use the checkpoint's own tokenizer.json.")
    schema = runtime.registry.get(runtime.registry.names()[0])
    extraction = runtime.extractor(schema).extract([schema.examples[0].text])[0]
    if extraction.error:
        raise extraction.error
    yield ok(f"{schema.name}: {extraction.outcome}, {extraction.cost.output_tokens} tokens written")
