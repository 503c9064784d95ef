"""What to say of a name that is not known."""

import difflib
from collections.abc import Iterable

__all__ = ["hint", "near_names"]


def near_names(word: str, known: Iterable[str]) -> list[str]:
    """The name that it is, or those that begin with it; otherwise the nearest one, if any is near."""
    names = list(known)
    begin = [name for name in names if word and name.startswith(word)]
    if word in begin:
        return [word]
    return begin or difflib.get_close_matches(word, names, n=1, cutoff=0.4)


def hint(word: str, known: Iterable[str]) -> str:
    """The near ones as a question, or else all."""
    names = list(known)
    near = near_names(word, names)
    if not near:
        return f"it must be one of {', '.join(names)}"
    return f"did you mean {' or '.join(map(repr, near))}?"
