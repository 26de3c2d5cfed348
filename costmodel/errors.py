"""The one error a user of this library meets."""


class CostModelError(ValueError):
    """A wrong input: the message names the thing, its value, the rule and the remedy."""
