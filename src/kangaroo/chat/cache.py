"""Keys and values of one conversation that grow in place.

transformers' `DynamicCache` copies everything at each new word, which costs a third of a small model's time; here room
is made ahead, a quarter more each time. Axes: row, head, position, width.
"""

from jaxtyping import Float
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

_SMALLEST_ROOM = 128


class GrowingLayer(DynamicLayer):
    """One layer's keys and values: views of the filled part of two larger tensors."""

    keys: Tensor
    values: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._room: list[Tensor] = []

    def update(
        self,
        key_states: Float[Tensor, "row head position width"],
        value_states: Float[Tensor, "row head position width"],
        *_args: object,
        **_kwargs: object,
    ) -> tuple[Tensor, Tensor]:
        """Add new positions and return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        before = self.get_seq_length()
        after = before + key_states.shape[-2]
        if not self._room or self._room[0].shape[-2] < after:
            size = after + max(after // 4, _SMALLEST_ROOM)
            room = [
                states.new_empty(*states.shape[:-2], size, states.shape[-1]) for states in (key_states, value_states)
            ]
            if before:
                room[0][..., :before, :], room[1][..., :before, :] = self.keys, self.values
            self._room = room
        keys, values = self._room
        keys[..., before:after, :], values[..., before:after, :] = key_states, value_states
        self.keys, self.values = keys[..., :after, :], values[..., :after, :]
        return self.keys, self.values

    def keep_first(self, length: int) -> None:
        """Forget all positions but the first ones, even where reading was interrupted between keys and values."""
        self.keys, self.values = self.keys[..., :length, :], self.values[..., :length, :]


class GrowingCache(Cache):
    """A cache of `GrowingLayer`s, made as the model asks for them."""

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=GrowingLayer)

    def add_layer(self, keys: Float[Tensor, "row head position width"], values: Tensor) -> None:
        """Hold these as the next layer's, without a copy and without more room."""
        layer = GrowingLayer()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        self.layers.append(layer)

    def keep_first(self, length: int) -> None:
        """Forget all positions but the first ones."""
        for layer in self.layers:
            layer.keep_first(length)
