"""The WebSocket channel's protocol as plain objects: three dialects, following, replay, hand-over to the router."""

__all__: list[str] = []
