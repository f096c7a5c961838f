"""The tools of MCP servers. Only `connection` and what it imports know the library; only an McpActor imports that."""

__all__: list[str] = []
