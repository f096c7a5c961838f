"""A campaign of faults against a real gateway, and a verdict on its promises."""
