"""HRM-Text's forward over packed tokens: the weights of transformers' model, fused as they lie on disk.

Two stacks of layers are run again and again: `H_cycles` times (`L_cycles` passes of the L stack, one of the H stack).
The residual stream is kept in float32 or better, products are in the dtype of the weights.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import cast

import torch
from torch.nn import Linear
from torch.nn.functional import linear, rms_norm, silu
from transformers import HrmTextConfig, HrmTextForCausalLM
from transformers.models.hrm_text.modeling_hrm_text import HrmTextDecoderLayer, HrmTextStack

from workers.engine.cache import Shape
from workers.engine.protocol import Cycles

# of a layer pass: query [tokens, heads, dimension], key and value [tokens, 2, heads, dimension]
# -> [tokens, heads x dimension]
Attend = Callable[[int, torch.Tensor, torch.Tensor], torch.Tensor]


class Network:
    """The model of a checkpoint as the engine runs it."""

    def __init__(self, model: HrmTextForCausalLM) -> None:
        self.config: HrmTextConfig = model.config
        self.cycles: Cycles = self.config.H_cycles, self.config.L_cycles
        inner = model.model
        self._embeddings: torch.Tensor = inner.embed_tokens.weight.detach()
        self._head: torch.Tensor = model.lm_head.weight.detach()
        self._scale = float(model.model.embedding_scale)
        self._wide = torch.promote_types(self._head.dtype, torch.float32)
        self._low_start = inner.z_L_init.detach().to(self._wide)
        self._low = [_Layer.of(layer) for layer in _layers(inner.L_module)]
        self._high = [_Layer.of(layer) for layer in _layers(inner.H_module)]
        positions = torch.arange(self.config.max_position_embeddings, device=self._head.device)
        like = torch.empty(0, dtype=self._wide, device=self._head.device)
        # [positions, 1, dimension] each
        cosine, sine = (table[0, :, None] for table in inner.rotary_emb(like, positions[None]))
        half = sine.shape[-1] // 2
        self._rotation = cosine, torch.cat([-sine[..., :half], sine[..., half:]], dim=-1)

    def at(self, cycles: Cycles) -> "Network":
        """The same weights, run so often; what one token has in the cache follows."""
        other = copy(self)
        other.cycles = cycles
        return other

    @property
    def like(self) -> torch.Tensor:
        """A tensor in the dtype and on the device of the weights."""
        return self._head

    @property
    def kv_shape(self) -> Shape:
        """What one token has in the cache, twice: keys and values."""
        high, low = self.cycles
        passes = high * (low * len(self._low) + len(self._high))
        return passes, int(self.config.num_attention_heads), int(self.config.head_dim)

    def hidden(self, ids: torch.Tensor, positions: torch.Tensor, attend: Attend) -> torch.Tensor:
        """The last hidden state of each token, [tokens] -> [tokens, hidden]."""
        cosine, sine = self._rotation
        rotation = cosine[positions], sine[positions]
        high = self._embeddings[ids].to(self._wide) * self._scale
        low = self._low_start.expand_as(high)
        index = 0
        high_cycles, low_cycles = self.cycles
        for _ in range(high_cycles):
            for _ in range(low_cycles):
                low = self._run(self._low, low + high, index, rotation, attend)
                index += len(self._low)
            high = self._run(self._high, high + low, index, rotation, attend)
            index += len(self._high)
        return high

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[tokens, hidden] -> [tokens, embeddings], in float32 or better."""
        return linear(hidden.to(self._head.dtype), self._head).to(self._wide)

    def _run(
        self,
        layers: Iterable["_Layer"],
        hidden: torch.Tensor,
        index: int,
        rotation: tuple[torch.Tensor, torch.Tensor],
        attend: Attend,
    ) -> torch.Tensor:
        for layer in layers:
            gate, query, key_value = self._project(layer, hidden, rotation)
            seen = attend(index, query, key_value)
            hidden = hidden + layer.attention_out(seen * gate.sigmoid_())
            inner, up = layer.mlp_in(self._normal(hidden)).chunk(2, dim=-1)
            hidden = hidden + layer.mlp_out(silu(inner) * up)
            index += 1
        return rms_norm(hidden, hidden.shape[-1:], eps=self.config.rms_norm_eps)

    def _project(
        self, layer: "_Layer", hidden: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The gate, the query, and key and value; query and key turned by their positions."""
        fused = layer.attention_in(self._normal(hidden))
        gate, rest = fused[:, : fused.shape[1] // 4], fused[:, fused.shape[1] // 4 :]
        # [tokens, 3, heads, dimension]
        turned = rest.view(len(rest), 3, -1, self.config.head_dim)
        cosine, sine = (table[:, None] for table in rotation)
        straight = turned[:, :2]
        turned[:, :2] = straight * cosine + straight.roll(self.config.head_dim // 2, dims=-1) * sine
        return gate, turned[:, 0], turned[:, 1:]

    def _normal(self, hidden: torch.Tensor) -> torch.Tensor:
        normal = rms_norm(hidden, hidden.shape[-1:], eps=self.config.rms_norm_eps)
        return normal.to(self._head.dtype)


@dataclass(frozen=True)
class _Product:
    """A linear map, or several stacked, that read the same."""

    weight: torch.Tensor
    bias: torch.Tensor | None

    @classmethod
    def of(cls, *parts: Linear) -> "_Product":
        """The parts become slices of what is stacked, so that no weight is held twice."""
        weights = [part.weight for part in parts]
        biases = [part.bias for part in parts if part.bias is not None]
        return cls(_stacked(weights), _stacked(biases) if biases else None)

    def __call__(self, read: torch.Tensor) -> torch.Tensor:
        return linear(read, self.weight, self.bias)


@dataclass(frozen=True, kw_only=True)
class _Layer:
    # rows: gate, query, key, value
    attention_in: _Product
    attention_out: _Product
    # rows: gate, up
    mlp_in: _Product
    mlp_out: _Product

    @classmethod
    def of(cls, layer: HrmTextDecoderLayer) -> "_Layer":
        attention, mlp = layer.self_attn, layer.mlp
        return cls(
            attention_in=_Product.of(
                attention.gate_proj, attention.q_proj, attention.k_proj, attention.v_proj
            ),
            attention_out=_Product.of(attention.o_proj),
            mlp_in=_Product.of(mlp.gate_proj, mlp.up_proj),
            mlp_out=_Product.of(mlp.down_proj),
        )


def _stacked(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    stacked = parts[0].detach() if len(parts) == 1 else torch.cat([part.detach() for part in parts])
    start = 0
    for part in parts:
        part.data = stacked[start : start + len(part)]
        start += len(part)
    return stacked


def _layers(stack: HrmTextStack) -> Iterable[HrmTextDecoderLayer]:
    return cast(Iterable[HrmTextDecoderLayer], stack.layers)
