"""The turn as the model sees it."""

__all__: list[str] = []
