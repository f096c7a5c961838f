"""What the channels speak with the outside world, as pure code: no sockets, no clock, no actors."""

__all__: list[str] = []
