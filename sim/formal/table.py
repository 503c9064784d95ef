"""All proofs."""

from . import (
    axi,
    chains,
    collecting,
    commanding,
    control,
    counting,
    emitting,
    fetching,
    filtering,
    finishing,
    guarding,
    indexing,
    joining,
    lanes,
    merging,
    offers,
    packing,
    pointing,
    queues,
    reading,
    reporting,
    rows,
    segments,
    skipping,
    sorting,
    spooling,
    tokens,
)
from .bench import Proof

__all__ = ["PROOFS", "UNPROVEN", "chosen"]

_FAMILIES = (queues, tokens, axi, guarding, control, reading, fetching, segments, collecting, finishing,
             emitting, chains, lanes, rows, indexing, filtering, joining, packing, pointing, skipping,
             counting, spooling, commanding, reporting, merging, sorting, offers)
PROOFS: tuple[Proof, ...] = tuple(proof for family in _FAMILIES for proof in family.PROOFS)


_PARTS = "connects blocks that have proofs"
_ARITHMETIC = "arithmetic without state or streams; the tests compare it with Python's"
UNPROVEN = {
    "BurstLog": "keeps addresses for error reports",
    "ChoiceSubtractor": _ARITHMETIC,
    "Collector": _PARTS,
    "CollectorPath": _PARTS,
    "Core": _PARTS,
    "CounterMemory": "adds numbers up; the tests compare it with Python's",
    "CsrOut": _PARTS,
    "DescriptorCheck": _ARITHMETIC,
    "DotProduct": "arithmetic without streams; the tests compare it with Python's",
    "ExtentCheck": "the guard behind it is proven whatever it says",
    "FlatTop": _PARTS,
    "LaneStore": "`skipping` takes B as it should lie there",
    "LoadedCounter": _ARITHMETIC,
    "MaskedAdder": _ARITHMETIC,
    "MergingStage": "what the two kinds of stages of a drain chain have in common, proven in each",
    "ScaleMultiplier": _ARITHMETIC,
    "Multiplier": _ARITHMETIC,
    "OperandSelect": "part of `skipping`",
    "Packer": "offers no stream that can stall",
    "RowBuffer": "its loader and its walker keep to what it says; the tests read back every row",
    "Scaler": _ARITHMETIC,
    "Sequencer": "runs a program; the tests compare its instructions with Python's",
    "SerialEngine": _PARTS,
    "SerialLane": "arithmetic without streams; the tests compare it with Python's, and iCE40's block with it",
    "SerialOutput": "connects a queue that has a proof and a scaler; the tests compare beats with Python's",
    "SerialRows": "offers no stream that can stall; the tests compare its sums with NumPy's",
    "SerialScaler": "arithmetic, a bit a cycle; the tests compare it with Python's",
    "SharedBuffer": "its readers' promise to stay ready is theirs to keep",
    "StreamScaler": "holds `Scaler` still while its output waits; the tests compare it with Python's",
    "TileBus": "a register for every field, and an exchange of words that the tests of `LaneStore` read back",
    "TileLoader": "connects blocks that have proofs; idle means no job: what a tile with wrong row pointers "
                  "has left over is read and dropped later, and the memory guard counts it",
    "Walker": "part of `skipping`",
    "WideSelect": _ARITHMETIC,
}
"""Blocks without a proof of their own, and why; the tests are what says that they are right."""


def chosen(names: list[str]) -> list[Proof]:
    """Proofs whose name begins with one of `names`, all without any; ValueError for a name that fits none."""
    for name in names:
        if not any(proof.name.startswith(name) for proof in PROOFS):
            raise ValueError(f"no proof is called {name!r}; there are {', '.join(p.name for p in PROOFS)}")
    return [proof for proof in PROOFS if not names or any(proof.name.startswith(name) for name in names)]
