"""sim.formal: what is proven holds, is not empty, and fails where a fault is built in."""

import importlib
import pkgutil
from pathlib import Path

import pytest
from amaranth.lib import wiring

import hdl
from hdl.queue import Queue
from sim.formal.bench import Proof
from sim.formal.inside import Fault, Inside
from sim.formal.table import PROOFS, UNPROVEN, chosen
from sim.formal.tools import run


def name_of(proof: Proof) -> str:
    return proof.name


def check(proof: Proof, folder: Path) -> None:
    result = run(proof, folder)
    assert result.proven, result.output
    assert result.covered == result.covers > 0, result.output
    assert result.fault_found, f"not found: {proof.fault.about}\n{result.output}"


@pytest.mark.parametrize("proof", [proof for proof in PROOFS if proof.quick], ids=name_of)
def test_a_quick_proof_holds_and_its_fault_is_found(proof: Proof, tmp_path: Path) -> None:
    check(proof, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("proof", [proof for proof in PROOFS if not proof.quick], ids=name_of)
def test_a_proof_holds_and_its_fault_is_found(proof: Proof, tmp_path: Path) -> None:
    check(proof, tmp_path)


def test_every_block_has_a_proof_or_a_reason_for_having_none() -> None:
    blocks = set()
    for module in pkgutil.iter_modules(hdl.__path__):
        for name, value in vars(importlib.import_module(f"hdl.{module.name}")).items():
            if isinstance(value, type) and issubclass(value, wiring.Component) \
                    and value.__module__.startswith("hdl."):
                blocks.add(name)
    proven = {proof.block for proof in PROOFS}
    assert proven & set(UNPROVEN) == set()
    assert proven | set(UNPROVEN) == blocks


def test_proofs_have_names_of_their_own() -> None:
    assert len({proof.name for proof in PROOFS}) == len(PROOFS)


def test_a_signal_that_is_not_in_the_block_is_named_with_those_that_are() -> None:
    with pytest.raises(KeyError, match=r"'levle'.*level"):
        Inside(Queue(1, 2))("levle")


def test_a_fault_that_changes_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"o\.ready has 0 drivers"):
        Inside(Queue(1, 2)).break_it(Fault("none", "o.ready", lambda value, inside: value))


def test_a_name_that_no_proof_has_is_refused() -> None:
    with pytest.raises(ValueError, match="queeu"):
        chosen(["queeu"])
