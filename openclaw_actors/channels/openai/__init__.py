"""What OpenAI's chat completions look like on the wire, and what a turn of a session looks like in them."""

__all__: list[str] = []
