"""Malformed descriptors and operands straight to the hardware, with the whole memory looked at after each.

A few hundred cases each run always, thousands in the slow tier: `scripts/test -m slow tests/test_fuzz.py`.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from hdl.config import PRESETS
from hdl.descriptor import DESCRIPTOR_FIELDS, Opcode, field_number
from hdl.registers import ErrorCode
from sim.host_transport import HostTransport
from sim.models.extents import extent_error, extents, field_error
from sim.models.product import run_product
from sim.transport import open_simulator
from tests.presets import WIDE
from tests.raw_array import MEMORY_BYTES, OUTPUT, RawArray, RawJob, draw_job, written_places
from tests.simulators import need

pytestmark = pytest.mark.verilator

CSR = replace(PRESETS["tiny"], name="csr", port_bytes=8, compressed_b=True, index_rows=256, table_rows=64,
              row_filter=True, chains=2, csr_out=True, merge_lanes=2)
CHANGED = {config.name: config for config in (CSR, WIDE)}
DATA_FAULTS = (ErrorCode.ROW_POINTER, ErrorCode.COLUMN_INDEX, ErrorCode.OUTPUT_FULL)
DESCRIPTOR_CASES = {"few": 120, "many": 2600}  # of each preset
OPERAND_CASES = {"few": 60, "many": 1100}
TIERS = [pytest.param("few"), pytest.param("many", marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]


@pytest.fixture(scope="module", params=["micro", "wide", "tiny", "small", "csr"])
def array(request: pytest.FixtureRequest) -> Iterator[RawArray]:
    """One simulator process for all cases of a preset."""
    need("verilator")
    config = CHANGED.get(request.param) or PRESETS[request.param]
    with open_simulator("verilator", config, memory_bytes=MEMORY_BYTES, latency_cycles=12,
                        gaps=0.1) as transport:
        assert isinstance(transport, HostTransport)
        array = RawArray(transport, config)
        array.run_good(draw_job(config, 0))
        yield array


# ---- what must come of a job -----------------------------------------------------------------------------


class Judge:
    """Goes through a job as the array must.

    Attributes
    ----------
    allowed : (code, detail or None for any, descriptor) with which the job may end
    memory : after each descriptor that may end well
    exact : the order of reads and writes does not matter, so all of this is certain
    """

    def __init__(self, array: RawArray, job: RawJob):
        config = array.config
        self.allowed: set[tuple[ErrorCode, int | None, int]] = set()
        self.memory = [bytes(job.memory)]
        self.exact = True
        self.refused_at = len(job.descriptors)
        tile, written, faulty = np.zeros((2, 0, 0)), [], None
        for number, d in enumerate(job.descriptors):
            bad_field = field_error(config, d, job.descriptors[number - 1] if number else array.before)
            bad_extent = None if bad_field else extent_error(config, d, job.windows)
            if bad_field or bad_extent:
                code, name = (bad_field or bad_extent)[:2]
                if faulty is None:
                    self.allowed.add((code, field_number(name), number))
                self.refused_at = number
                break
            spans = extents(config, d)
            reads = [range(span.address, span.end) for span in spans if not span.write]
            writes = [range(span.address, span.end) for span in spans if span.write]
            written += writes
            # The three arrays of a CSR result are written by turns.
            self.exact &= not any(one.start < other.stop and other.start < one.stop
                                  for place, one in enumerate(writes) for other in writes[:place])
            self.exact &= not any(one.start < other.stop and other.start < one.stop
                                  for one in reads for other in written)
            # What the job before has left is not modelled.
            self.exact &= not d["reuse_tile"] or number > 0
            outcome = run_product(config, self.memory[-1], d, tile)
            tile = outcome.tile
            self.allowed |= {(code, None, number) for code in outcome.faults}
            if outcome.faults and faulty is None:
                faulty = number
            if faulty is not None and number > faulty:
                break
            after = bytearray(self.memory[-1])
            for address, content in outcome.rows:
                after[address:address + len(content)] = content
            self.memory.append(bytes(after))
        if not self.allowed:
            self.allowed.add((ErrorCode.NONE, None, 0))


def check_case(array: RawArray, job: RawJob) -> ErrorCode:
    """Run a job that may be bad, then judge its end and the whole memory; how it ended."""
    judge = Judge(array, job)
    array.start(job)
    code, detail, number, _ = array.finish()
    found, completed = array.memory(), array.read("COMPLETED")
    if judge.exact:
        assert (code, detail, number) in judge.allowed or (code, None, number) in judge.allowed, judge.allowed
    else:
        assert code in (ErrorCode.NONE, *DATA_FAULTS) or (code, detail, number) in judge.allowed
    if code == ErrorCode.NONE:
        assert completed == len(job.descriptors)
        if judge.exact:
            assert found == judge.memory[-1]
    array.before = job.descriptors[-1] if code == ErrorCode.NONE else None
    started = job.descriptors[:judge.refused_at]
    touched = np.frombuffer(found, np.uint8) != np.frombuffer(bytes(job.memory), np.uint8)
    for place in written_places(array.config, started):
        touched[place.start:place.stop] = False
    assert not touched.any(), f"written outside of any C: {np.nonzero(touched)[0][:10]}"
    if judge.exact and code != ErrorCode.NONE:
        # What is complete is there; later descriptors may have written over it.
        later = np.zeros(MEMORY_BYTES, bool)
        for place in written_places(array.config, started[completed:]):
            later[place.start:place.stop] = True
        wanted = np.frombuffer(judge.memory[min(completed, len(judge.memory) - 1)], np.uint8)
        assert (np.frombuffer(found, np.uint8) == wanted)[~later].all()
    return code


# ---- malformed descriptors -------------------------------------------------------------------------------


def edge_values(bits: int, value: int, rng: random.Random) -> int:
    top = (1 << bits) - 1
    return top & rng.choice([
        0, 1, 2, top, top - 1, 1 << bits - 1, (1 << bits - 1) - 1, value + 1, value - 1, 2 * value,
        value + 64,
        MEMORY_BYTES, MEMORY_BYTES - 1, OUTPUT, OUTPUT - 1, rng.getrandbits(bits),
        rng.randrange(MEMORY_BYTES), rng.randrange(64)])


def codes_of(array: RawArray, cases: int, kind: str, first_job: int,
             spoil: Callable[[RawJob, random.Random, int], None]) -> set[ErrorCode]:
    """How jobs end that `spoil` has spoilt; each is compared with its model, and followed by a good one."""
    ends = set()
    good = draw_job(array.config, 0)
    for seed in range(cases):
        job, rng = draw_job(array.config, first_job + seed), random.Random(f"{kind} {seed}")
        spoil(job, rng, seed)
        try:
            ends.add(check_case(array, job))
            array.run_good(good)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, descriptors {job.descriptors}: {error}") from error
    return ends


def spoil_fields(job: RawJob, rng: random.Random, seed: int) -> None:
    """Change one field in turn, or a few, of one descriptor."""
    number = rng.randrange(len(job.descriptors))
    descriptor = job.descriptors[number]
    fields = [DESCRIPTOR_FIELDS[seed % len(DESCRIPTOR_FIELDS)]]
    if rng.random() < 0.3:
        fields += rng.sample(DESCRIPTOR_FIELDS, rng.randrange(1, 4))
    for field in fields:
        descriptor[field.name] = edge_values(field.bits, descriptor[field.name], rng)
    job.place_descriptors()


@pytest.mark.parametrize("tier", TIERS)
def test_malformed_descriptors_harm_nothing_and_are_named(array: RawArray, tier: str) -> None:
    ends = codes_of(array, DESCRIPTOR_CASES[tier], "descriptors", 0, spoil_fields)
    assert {ErrorCode.NONE, ErrorCode.FIELD, ErrorCode.OUTSIDE} <= ends, ends


@pytest.mark.parametrize("tier, names", [
    ("few", {"group_log2", "slice_words", "c_address", "c_stride"}), ("many", {"a_indices", "b_stride"})])
def test_cases_have_what_only_a_serial_array_refuses(tier: str, names: set[str]) -> None:
    config, refused = PRESETS["micro"], set()
    for seed in range(DESCRIPTOR_CASES[tier]):
        job, rng = draw_job(config, seed), random.Random(f"descriptors {seed}")
        spoil_fields(job, rng, seed)
        for number, d in enumerate(job.descriptors):
            error = field_error(config, d, job.descriptors[number - 1] if number else None)
            if error is not None:
                refused.add(error[1])
    assert names <= refused


# ---- malformed operands ----------------------------------------------------------------------------------


def spoil_operands(job: RawJob, rng: random.Random, _seed: int) -> None:
    """Change row pointers and column indices of A or B in memory."""
    for _ in range(rng.choice([1, 1, 2, 5])):
        d = rng.choice(job.descriptors)
        name = rng.choice([name for name in "ab" if d[f"{name}_format"] > (0 if name == "a" else 1)] or [""])
        if not name:
            continue
        of_k = name == "b" and d["opcode"] == Opcode.MATMUL.value
        rows, nnz = d["k_count"] if of_k else d["rows"], d[f"{name}_nnz"]
        wide = d[f"{name}_format"] == (2 if name == "a" else 3)
        if rng.random() < 0.5:
            place, size, count, value = d[f"{name}_pointers"], 4, rows, nnz
        else:
            place, size, count, value = d[f"{name}_indices"], 4 if wide else 2, nnz, d[f"{name}_columns"]
        if count:
            place += size * rng.choice([0, count - 1, rng.randrange(count)])
            word = edge_values(8 * size, value, rng)
            job.memory[place:place + size] = word.to_bytes(size, "little")


@pytest.mark.parametrize("tier", TIERS)
def test_malformed_operands_harm_nothing_and_are_named(array: RawArray, tier: str) -> None:
    ends = codes_of(array, OPERAND_CASES[tier], "operands", 1_000_000, spoil_operands)
    assert {ErrorCode.NONE, ErrorCode.ROW_POINTER, ErrorCode.COLUMN_INDEX} <= ends, ends
