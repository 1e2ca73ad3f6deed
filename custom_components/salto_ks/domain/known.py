"""Yes, no, and None for what is not known."""


def opposite(known: bool | None) -> bool | None:
    """Return whether something is not so; what is not known stays unknown."""
    return None if known is None else not known
