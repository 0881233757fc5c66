"""The engine over transformers' HrmTextForCausalLM: greedy, with a grammar a row."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from schemas.errors import DeviceError
from workers.engine import checkpoint
from workers.engine.forward import Batch
from workers.engine.protocol import Checkpoint, Completion, Request
from workers.engine.row import Row
from workers.engine.tokenizer import PlainTokenizer


class TransformersEngine:
    """Completes prompts in batches whose results equal one-by-one results."""

    def __init__(self, loaded: checkpoint.Loaded, *, batch_size: int = 8) -> None:
        self._loaded = loaded
        self._batch_size = batch_size
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls, path: str | Path, device: str = "auto", dtype: str = "auto", batch_size: int = 8
    ) -> "TransformersEngine":
        """Load a checkpoint and be ready to complete.

        Raises:
            CheckpointError: the checkpoint cannot be used.
            ConfigurationError: device or dtype does not exist here.
        """
        return cls(checkpoint.load(path, device, dtype), batch_size=batch_size)

    def __str__(self) -> str:
        model = self._loaded.model
        return f"{model.device}, {str(model.dtype).removeprefix('torch.')}, {self.max_positions} positions"

    @property
    def tokenizer(self) -> PlainTokenizer:
        return self._loaded.tokenizer

    @property
    def max_positions(self) -> int:
        return int(self._loaded.model.config.max_position_embeddings)

    @property
    def checkpoint(self) -> Checkpoint:
        return self._loaded.checkpoint

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Complete every request, in their order; safe to call from several threads.

        Raises:
            DeviceError: the device failed, or one request alone does not fit its memory.
        """
        # longest first: what does not fit the memory shows at once, and alike lengths waste little padding
        order = sorted(range(len(requests)), key=lambda i: -len(requests[i].prompt))
        completions: dict[int, Completion] = {}
        size = self._batch_size
        with self._lock, torch.inference_mode():
            while waiting := order[len(completions) :]:
                batch = waiting[:size]
                try:
                    done = self._complete_batch([requests[i] for i in batch])
                except RuntimeError as exc:
                    _raise_unless_out_of_memory(exc, len(batch))
                    size = (len(batch) + 1) // 2
                else:
                    completions.update(zip(batch, done, strict=True))
                    continue
                # outside the handler, where the traceback no longer holds the batch's tensors
                _free_memory()
        return [completions[i] for i in range(len(requests))]

    def _complete_batch(self, requests: Sequence[Request]) -> list[Completion]:
        rows = [Row(request, self.tokenizer, self.max_positions) for request in requests]
        active = [row for row in rows if not row.finish]
        if active:
            self._decode(active)
        return [row.completion() for row in rows]

    def _decode(self, active: list[Row]) -> None:
        batch = Batch(self._loaded.model)
        logits = batch.prefill([row.request.prompt for row in active])
        while True:
            self._choose(active, logits)
            going = [i for i, row in enumerate(active) if not row.finish]
            if not going:
                return
            if len(going) < len(active):
                batch.keep(going)
                active = [active[i] for i in going]
            logits = batch.step([row.last_token for row in active])

    def _choose(self, rows: Sequence[Row], logits: torch.Tensor) -> None:
        """Give each row its most probable allowed token."""
        masks = torch.from_numpy(np.stack([row.allowed() for row in rows])).to(logits.device)
        # the head may be larger than the vocabulary
        allowed = logits[:, : masks.shape[1]].float().masked_fill(~masks, -torch.inf)
        tokens = allowed.argmax(dim=1, keepdim=True)
        logprobs = allowed.log_softmax(dim=1).gather(1, tokens)
        chosen = zip(rows, tokens[:, 0].tolist(), logprobs[:, 0].tolist(), strict=True)
        for row, token, logprob in chosen:
            row.append(token, logprob)


def _raise_unless_out_of_memory(error: RuntimeError, num_rows: int) -> None:
    text = str(error)
    full = isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text
    if full and num_rows > 1:
        return
    if full:
        raise DeviceError(
            f"The device has not enough memory for one request: {text}.",
            hint="Lower the schema's max_answer_tokens, or use a larger device.",
        ) from error
    if "CUDA" in text or isinstance(error, getattr(torch, "AcceleratorError", ())):
        raise DeviceError(f"The device failed: {text}.", hint="Restart the worker.") from error
    raise error


def _free_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
