"""Keep what was costly to make, up to a size in any unit; what was not used for longest goes first.

Safe to call from several threads. Imports without torch.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedStore(Generic[Value]):
    """A mapping of bounded size.

    >>> store = BoundedStore(max_size=1 << 30)
    >>> store.put("key", value, size=1000)
    """

    def __init__(self, *, max_size: int) -> None:
        self.max_size = max_size
        self.size = 0
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable) -> Value | None:
        """Return the value kept under this key, None where there is none."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: Hashable, value: Value, *, size: int) -> None:
        """Keep a value. One that is larger than the whole store is not kept."""
        with self._lock:
            self._drop(key)
            if size > self.max_size:
                return
            self._values[key] = (value, size)
            self.size += size
            while self.size > self.max_size:
                self._drop(next(iter(self._values)))

    def _drop(self, key: Hashable) -> None:
        if key in self._values:
            self.size -= self._values.pop(key)[1]
