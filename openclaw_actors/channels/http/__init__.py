"""HTTP without a socket: what can be asked, how requests are read, and what a browser may do."""

__all__: list[str] = []
