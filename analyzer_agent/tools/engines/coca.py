"""Writing with CoCa, one token after the other: what the picture and the tokens before give is computed once and kept.

The forward pass of open_clip's `CoCa` computes all of it anew for every token. Both of its text transformers are causal, so that the keys
and values of a token do not depend on later ones; those of the picture do not depend on the text at all. Knows neither pixels nor
words, and imports no library: torch and the model come from the door.
"""

from typing import Any


def is_causal(torch: Any, model: Any) -> bool:
    """Tell whether a CoCa is built as all published ones are: tokens look back only, and a summary follows them."""
    blocks = (*model.text.transformer.resblocks, *model.text_decoder.resblocks, *model.text_decoder.cross_attn)
    summed, looking_back = model.text.cls_emb is not None, model.text.attn_mask is not None
    return summed and looking_back and all(isinstance(block.attn, torch.nn.MultiheadAttention) for block in blocks)


def greedy_decode(torch: Any, model: Any, image: Any, begin: int, end: int, longest: int) -> Any:
    """Return the likeliest token after the other for each picture of a batch, as a tensor of rows, until each has ended.

    Source: the last logits of `open_clip.CoCa.forward`, up to rounding.

    Args:
        torch: the library.
        model: a `is_causal` CoCa.
        image: what its `_encode_image` tells of the parts of each picture.
        begin: the token that each row begins with.
        end: the token that ends a row; what follows it means nothing.
        longest: tokens at most, the first one included.
    """
    step = _StepwiseDecoder(torch, model, image)
    text = torch.full((len(image), 1), begin, dtype=torch.long, device=image.device)
    while text.shape[1] < longest and not (text == end).any(dim=1).all():
        text = torch.cat([text, step(text).argmax(dim=-1, keepdim=True)], dim=1)
    return text


class _StepwiseDecoder:
    """Called with texts that are longer by one token each time, gives the logits after their last ones."""

    def __init__(self, torch: Any, model: Any, image: Any) -> None:
        self._text, self._decoder = model.text, model.text_decoder
        self._tower = [_CachedSelfAttention(torch, block) for block in self._text.transformer.resblocks]
        self._pairs = [
            (_CachedSelfAttention(torch, block), _CachedCrossAttention(torch, cross, image))
            for block, cross in zip(self._decoder.resblocks, self._decoder.cross_attn, strict=True)
        ]

    def __call__(self, tokens: Any) -> Any:
        # The tower puts a summary after the text, which no token looks at, and hides the place after what it takes for padding ("!").
        embedded, hidden = self._text._embeds(tokens)
        x, hidden = embedded[:, -2:-1], hidden[:, -2:-1, :-1].unflatten(0, (len(tokens), -1))
        for block in self._tower:
            x = block(x, hidden)
        for block, cross in self._pairs:
            x = cross(block(x))
        return self._decoder.ln_final(x[:, 0]) @ self._decoder.text_projection


class _CachedSelfAttention:
    """A block whose last token looks at all tokens so far: keeps their keys and values."""

    def __init__(self, torch: Any, block: Any) -> None:
        self._torch, self._block = torch, block
        self._kept: list[Any] = []

    def __call__(self, x: Any, hidden: Any = None) -> Any:
        attention = self._block.attn
        query, *new = self._heads(self._block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias, 3)
        self._kept = [self._torch.cat(pair, dim=2) for pair in zip(self._kept, new, strict=True)] if self._kept else new
        return self._block_after(x, query, hidden)

    def _heads(self, x: Any, weight: Any, bias: Any, parts: int) -> list[Any]:
        """Return the queries, keys or values of each head: batch, head, token, value."""
        found = self._torch.nn.functional.linear(x, weight, bias).unflatten(-1, (parts, self._block.attn.num_heads, -1))
        return list(found.permute(2, 0, 3, 1, 4))

    def _block_after(self, x: Any, query: Any, hidden: Any = None) -> Any:
        """Return what the rest of the block makes of `x`."""
        block = self._block
        found = self._torch.nn.functional.scaled_dot_product_attention(query, *self._kept, attn_mask=hidden)
        x = x + block.ls_1(block.attn.out_proj(found.transpose(1, 2).flatten(2)))
        return x + block.ls_2(block.mlp(block.ln_2(x)))


class _CachedCrossAttention(_CachedSelfAttention):
    """A block whose last token looks at the picture, which stays the same."""

    def __init__(self, torch: Any, block: Any, image: Any) -> None:
        super().__init__(torch, block)
        width, attention = block.attn.embed_dim, block.attn
        self._asks = attention.in_proj_weight[:width], attention.in_proj_bias[:width]
        self._kept = self._heads(block.ln_1_kv(image), attention.in_proj_weight[width:], attention.in_proj_bias[width:], 2)

    def __call__(self, x: Any, hidden: Any = None) -> Any:
        (query,) = self._heads(self._block.ln_1(x), *self._asks, 1)
        return self._block_after(x, query)
