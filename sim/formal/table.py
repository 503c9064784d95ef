"""All proofs."""

from . import axi, collecting, guarding, lanes, offers, queues, segments, skipping, tokens
from .bench import Proof

__all__ = ["PROOFS", "chosen"]

_FAMILIES = (queues, tokens, axi, guarding, segments, collecting, lanes, skipping, offers)
PROOFS: tuple[Proof, ...] = tuple(proof for family in _FAMILIES for proof in family.PROOFS)


def chosen(names: list[str]) -> list[Proof]:
    """Proofs whose name begins with one of `names`, all without any; ValueError for a name that fits none."""
    for name in names:
        if not any(proof.name.startswith(name) for proof in PROOFS):
            raise ValueError(f"no proof is called {name!r}; there are {', '.join(p.name for p in PROOFS)}")
    return [proof for proof in PROOFS if not names or any(proof.name.startswith(name) for name in names)]
