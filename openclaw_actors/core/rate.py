"""Decides whether one more of something still fits into a span of time. Monotonic time is passed in."""

from __future__ import annotations

from collections import OrderedDict, deque

__all__ = ["RateWindow", "RateWindows"]


class RateWindow:
    """Lets at most `limit` hits pass in any span of `window_s`; what is refused does not count.

    Hits are counted in `steps` parts of the window, so memory stays the same whatever the limit. A part leaves when
    its youngest possible hit is older than the window: never is more let through than the limit, and a hit may
    count for `window_s / steps` longer than the window.

    Args:
        limit: hits in a window; below 1 counts as 1.
        window_s: length of the window, seconds.
        steps: into how many parts it is divided.
    """

    __slots__ = ("_parts", "_step_s", "_total", "limit", "window_s")

    def __init__(self, limit: int, *, window_s: float = 60.0, steps: int = 60) -> None:
        self.limit = max(1, limit)
        self.window_s = window_s
        self._step_s = window_s / steps
        self._parts: deque[list[float]] = deque()
        self._total = 0

    def hit(self, now: float) -> bool:
        """Count one at this moment; False, and not counted, when the window is full."""
        self._forget(now)
        if self._total >= self.limit:
            return False
        part = now // self._step_s
        if self._parts and self._parts[-1][0] >= part:
            self._parts[-1][1] += 1
        else:
            self._parts.append([part, 1])
        self._total += 1
        return True

    def used(self, now: float) -> int:
        """How many hits count at this moment."""
        self._forget(now)
        return self._total

    def _forget(self, now: float) -> None:
        parts = self._parts
        while parts and (parts[0][0] + 1) * self._step_s + self.window_s <= now:
            self._total -= int(parts.popleft()[1])


class RateWindows:
    """One window for each key, of the most recently used keys; idle ones are forgotten.

    Args:
        limit: hits of one key in a window.
        window_s: length of the window, seconds.
        max_keys: beyond it the key that was used longest ago is forgotten.
    """

    def __init__(self, limit: int, *, window_s: float = 60.0, max_keys: int = 10_000) -> None:
        self._limit = limit
        self._window_s = window_s
        self._max_keys = max_keys
        self._windows: OrderedDict[str, RateWindow] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def hit(self, key: str, now: float) -> bool:
        """Count one of this key; False, and not counted, when its window is full."""
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = RateWindow(self._limit, window_s=self._window_s)
            self._prune(now)
        else:
            self._windows.move_to_end(key)
        return window.hit(now)

    def use(self, limit: int) -> None:
        """Let another number of hits pass; those that were let pass before count."""
        self._limit = limit
        for window in self._windows.values():
            window.limit = max(1, limit)

    def _prune(self, now: float) -> None:
        windows = self._windows
        while len(windows) > self._max_keys:
            windows.popitem(last=False)
        for _ in range(2):  # two out for one in: idle keys go away without a sweep over all
            oldest = next(iter(windows))
            if len(windows) == 1 or windows[oldest].used(now):
                return
            del windows[oldest]
