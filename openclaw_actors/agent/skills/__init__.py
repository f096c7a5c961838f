"""Skills: instructions for particular tasks, which the model reads when one of them is asked for."""

__all__: list[str] = []
