"""Two rewrites that make a guard's graph run faster in ONNX Runtime on a processor, for any encoder of transformers.

Attention becomes the one operator `com.microsoft::MultiHeadAttention` instead of eleven that write the square of the
length to memory each; layer normalization is spelled out, because the runtime's own kernel for it walks through a row
number by number while means and products run on vectors. Measured on 128 tokens of MiniLM-L6 in 8 bits: 16.2 ms plain,
14.9 with the first, 12.7 with both. The full-precision file stays plain, for others.
"""

from __future__ import annotations

import copy
from typing import Any

NAME = "whetstone-onnx"
EXTRAS = {"softcap", "s_aux"}  # of attention: what the operator cannot do


def fused(guard: Any) -> Any:
    """A copy of a guard with both rewrites, for export only: its attention computes nothing under torch."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, eager_mask)
    twin = copy.deepcopy(guard).eval()
    for module in twin.modules():
        config: Any = getattr(module, "config", None)
        if hasattr(config, "_attn_implementation"):
            config._attn_implementation = NAME
    _spell_norms(twin)
    return twin


def _attention(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any = None, scaling: float | None = None,
    **extra: Any,
) -> tuple[Any, None]:  # fmt: skip
    """transformers' attention interface; query, key, value [batch, heads, tokens, width of a head]."""
    import torch

    if any(extra.get(name) is not None for name in EXTRAS):
        raise NotImplementedError("This attention has extras that the fused operator lacks.")
    batch, heads, tokens, width = query.shape
    groups = heads // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    flat = [tensor.transpose(1, 2).reshape(batch, -1, heads * width) for tensor in (query, key, value)]
    joined = torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention", (*flat, None, None, attention_mask), dtype=query.dtype, version=1,
        attrs={"num_heads": heads, "scale": float(width**-0.5 if scaling is None else scaling)},
        shape=(batch, tokens, heads * width),
    )  # fmt: skip
    return joined.view(batch, tokens, heads, width), None


def _spell_norms(module: Any) -> None:
    import torch

    class Spelled(torch.nn.Module):
        """Layer normalization over the last axis as means and products."""

        def __init__(self, norm: Any) -> None:
            super().__init__()
            self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

        def forward(self, hidden: Any) -> Any:
            off = hidden - hidden.mean(-1, keepdim=True)
            scaled = off * torch.rsqrt((off * off).mean(-1, keepdim=True) + self.eps) * self.weight
            return scaled if self.bias is None else scaled + self.bias

    for name, child in module.named_children():
        if isinstance(child, torch.nn.LayerNorm) and len(child.normalized_shape) == 1 and child.weight is not None:
            setattr(module, name, Spelled(child))
        else:
            _spell_norms(child)
