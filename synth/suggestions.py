"""What to say of a name that is not known."""

import difflib
from collections.abc import Iterable

__all__ = ["hint", "near_names"]


def near_names(word: str, known: Iterable[str]) -> list[str]:
    """Those that begin with the word; otherwise the nearest one, if any is near."""
    names = list(known)
    return [name for name in names if word and name.startswith(word)] or difflib.get_close_matches(
        word, names, n=1, cutoff=0.4)


def hint(word: str, known: Iterable[str]) -> str:
    """The near ones as a question, or else all."""
    names = list(known)
    near = near_names(word, names)
    if not near:
        return f"it must be one of {', '.join(names)}"
    return f"did you mean {' or '.join(map(repr, near))}?"
