"""Greedy decoding for CoCa with cached keys and values.

`forward` of `open_clip.CoCa` recomputes everything for each token. Both of its text transformers
are causal, so the keys and values of a token do not depend on later ones, and those of the image
do not depend on the text. torch and the model are passed in by `open_clip`.
"""

from typing import Any


def is_causal(torch: Any, model: Any) -> bool:
    """Tell whether a CoCa has the published architecture: causal text towers and a CLS token."""
    blocks = (*model.text.transformer.resblocks, *model.text_decoder.resblocks, *model.text_decoder.cross_attn)
    summed, looking_back = model.text.cls_emb is not None, model.text.attn_mask is not None
    return summed and looking_back and all(isinstance(block.attn, torch.nn.MultiheadAttention) for block in blocks)


def greedy_decode(torch: Any, model: Any, image: Any, begin: int, end: int, longest: int) -> Any:
    """Decode greedily until each row has ended, and return token ids (int64[B, T]).

    Equivalent to the argmax of the last logits of `open_clip.CoCa.forward`, up to rounding.

    Args:
        torch: the torch module.
        model: a CoCa for which `is_causal` holds.
        image: the image token embeddings, the second result of the model's `_encode_image`.
        begin: start token id.
        end: end token id; tokens after it in a row are meaningless.
        longest: maximum number of tokens, including the start token.
    """
    step = _StepwiseDecoder(torch, model, image)
    text = torch.full((len(image), 1), begin, dtype=torch.long, device=image.device)
    while text.shape[1] < longest and not (text == end).any(dim=1).all():
        text = torch.cat([text, step(text).argmax(dim=-1, keepdim=True)], dim=1)
    return text


class _StepwiseDecoder:
    """Called with texts that grow by one token each time; returns the logits after the last one."""

    def __init__(self, torch: Any, model: Any, image: Any) -> None:
        self._text, self._decoder = model.text, model.text_decoder
        self._tower = [_CachedSelfAttention(torch, block) for block in self._text.transformer.resblocks]
        self._pairs = [
            (_CachedSelfAttention(torch, block), _CachedCrossAttention(torch, cross, image))
            for block, cross in zip(self._decoder.resblocks, self._decoder.cross_attn, strict=True)
        ]

    def __call__(self, tokens: Any) -> Any:
        # The tower appends a CLS token, which no other token attends to, and masks the position
        # after each padding token ("!", id 0).
        embedded, hidden = self._text._embeds(tokens)
        x, hidden = embedded[:, -2:-1], hidden[:, -2:-1, :-1].unflatten(0, (len(tokens), -1))
        for block in self._tower:
            x = block(x, hidden)
        for block, cross in self._pairs:
            x = cross(block(x))
        return self._decoder.ln_final(x[:, 0]) @ self._decoder.text_projection


class _CachedSelfAttention:
    """A block whose last token attends to all tokens so far; caches their keys and values."""

    def __init__(self, torch: Any, block: Any) -> None:
        self._torch, self._block = torch, block
        self._kept: list[Any] = []

    def __call__(self, x: Any, hidden: Any = None) -> Any:
        attention = self._block.attn
        query, *new = self._heads(self._block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias, 3)
        self._kept = [self._torch.cat(pair, dim=2) for pair in zip(self._kept, new, strict=True)] if self._kept else new
        return self._block_after(x, query, hidden)

    def _heads(self, x: Any, weight: Any, bias: Any, parts: int) -> list[Any]:
        """Return the queries, keys or values as tensors of batch x head x token x channel."""
        found = self._torch.nn.functional.linear(x, weight, bias).unflatten(-1, (parts, self._block.attn.num_heads, -1))
        return list(found.permute(2, 0, 3, 1, 4))

    def _block_after(self, x: Any, query: Any, hidden: Any = None) -> Any:
        """Apply attention and the rest of the block to `x`."""
        block = self._block
        found = self._torch.nn.functional.scaled_dot_product_attention(query, *self._kept, attn_mask=hidden)
        x = x + block.ls_1(block.attn.out_proj(found.transpose(1, 2).flatten(2)))
        return x + block.ls_2(block.mlp(block.ln_2(x)))


class _CachedCrossAttention(_CachedSelfAttention):
    """A block whose last token attends to the image, whose keys and values are computed once."""

    def __init__(self, torch: Any, block: Any, image: Any) -> None:
        super().__init__(torch, block)
        width, attention = block.attn.embed_dim, block.attn
        self._asks = attention.in_proj_weight[:width], attention.in_proj_bias[:width]
        self._kept = self._heads(block.ln_1_kv(image), attention.in_proj_weight[width:], attention.in_proj_bias[width:], 2)

    def __call__(self, x: Any, hidden: Any = None) -> Any:
        (query,) = self._heads(self._block.ln_1(x), *self._asks, 1)
        return self._block_after(x, query)
