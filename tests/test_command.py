"""hdl.command: jobs in order, overlap of two descriptors, refusals and faults."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from amaranth.lib import data
from amaranth.sim import Simulator

from hdl.command import CommandProcessor
from hdl.config import PRESETS, Config
from hdl.descriptor import DESCRIPTOR_BYTES, Opcode, field_number
from hdl.descriptor_check import NOT_A_FIELD
from hdl.emit import emit_verilog
from hdl.layouts import CsrMode, Operation
from hdl.registers import ErrorCode
from hdl.status import AT_WORK_BITS
from sim.models.command import BASE, UNITS, check_jobs, good, numbered, pack
from sim.models.supervised import Supervised
from tests.harness import as_python


@dataclass
class Machine:
    """Units of random speed around a command processor, and a log of what happened when."""

    config: Config
    descriptors: list[dict[str, int]]
    seed: int = 0
    latency: int = 12
    tile_cycles: int = 30
    token_cycles: int = 60
    slow: bool = True                # random speeds, random waits before a job is taken
    faults: dict = field(default_factory=dict)  # cycle to a dict of inputs that are set for that cycle
    settings: dict = field(default_factory=dict)  # inputs that are set before the job and stay
    faulty_jobs: int = 1 << 30       # so many jobs have these faults
    bad_beats: frozenset = frozenset()
    count: int | None = None
    address: int = BASE
    timeout: int = 5000
    log: list = field(default_factory=list)

    def cycle_of(self, event: str, number: int) -> int:
        """When an event happened for the number-th time."""
        return [cycle for cycle, name in self.log if name == event][number]

    def times(self, event: str) -> int:
        return sum(name == event for _, name in self.log)

    def run(self, jobs: int = 1) -> list[dict]:
        """Ring the doorbell `jobs` times; the status after each."""
        dut = Supervised(self.config)
        self.jobs: dict[str, list] = {unit: [] for unit in UNITS}
        self.owners: list[dict] = []
        statuses: list[dict] = []
        simulator = Simulator(dut)
        simulator.add_clock(1e-6)

        async def testbench(ctx) -> None:
            for number in range(jobs):
                faults = self.faults if number < self.faulty_jobs else {}
                statuses.append(await self._job(ctx, dut, faults))

        simulator.add_testbench(testbench)
        simulator.run()
        return statuses

    async def _job(self, ctx, dut, faults: dict) -> dict:
        config, rng = self.config, random.Random(self.seed)
        memory = b"".join(pack(values) for values in self.descriptors)
        width, first = config.port_bytes, len(self.log)
        beats: list[tuple[int, int, int]] = []     # (cycle, data, error) of answers on their way
        stream = {unit: getattr(dut, f"o_{unit}_job") for unit in UNITS}
        loading, fetching, routing = 0, 0, []      # cycles left; token counts that the router knows
        tokens: list[int] = []                     # of fetched jobs in order
        draining: int | None = None
        collecting, finishing, writing = False, 0, 0
        held = 0
        unwritten, written = 0, 0                  # collected jobs; those of them whose writes are answered
        closed, cycle, done = False, 0, None
        owner: dict | None = None                  # the PeJob that the tokens in the array belong to

        def span(nominal: int) -> int:
            return rng.randrange(1, 2 * nominal) if self.slow else nominal

        ctx.set(dut.i_count, len(self.descriptors) if self.count is None else self.count)
        ctx.set(dut.i_descriptor, self.address)
        for name, value in self.settings.items():
            ctx.set(member(dut, name), value)
        await ctx.tick()
        ctx.set(dut.i_start, 1)
        while done is None or cycle < done + 20:
            assert cycle < self.timeout, f"no end; {self.log[first:]}"
            eager = {unit: not self.slow or rng.random() < 0.4 for unit in UNITS}
            ready = {
                "fetch": fetching == 0 and len(tokens) < 2 and eager["fetch"],
                "router": not routing and eager["router"], "tile": loading == 0 and eager["tile"],
                "collector": not collecting and eager["collector"]}
            for unit in UNITS:
                ctx.set(stream[unit].ready, ready[unit])
            request_ready = eager["fetch"] and not ctx.get(dut.o_close)
            ctx.set(dut.o_request.ready, request_ready)
            ctx.set(dut.i_quiet, not beats)
            ctx.set(dut.i_moves, 1)
            beat = beats.pop(0) if beats and beats[0][0] <= cycle else None
            ctx.set(dut.i_beat.valid, beat is not None)
            if beat is not None:
                ctx.set(dut.i_beat.payload, {"data": beat[1], "error": beat[2]})
                self.log.append((cycle, "beat"))
            ctx.set(dut.i_collector_idle, not collecting)
            ctx.set(dut.i_writer_idle, writing == 0 and written <= 1)
            ctx.set(dut.i_job_written, written > 0)
            written = max(0, written - 1)
            ctx.set(dut.i_tile_done, loading == 1)
            ctx.set(dut.i_drained, draining == 0)
            for name, value in faults.get(cycle, {}).items():
                ctx.set(member(dut, name), value)
            opened = ctx.get(dut.o_open)
            if not opened:
                closed = False
            passes = opened and not closed and tokens and routing and fetching < 5
            if passes:
                if "pass" not in [name for _, name in self.log[-1:]]:
                    self.log.append((cycle, "pass"))
                tokens[0] -= 1
            last = bool(passes and tokens[0] == 0)
            ctx.set(dut.i_last, last)
            sampled = await ctx.tick().sample(
                dut.o_request.valid, dut.o_request.payload, *(stream[unit].valid for unit in UNITS),
                *(stream[unit].payload for unit in UNITS), dut.o_pe_job, dut.o_finished, dut.o_status.busy,
                dut.o_reset, dut.o_close, dut.o_hold)
            _, _, asks, request, *rest = sampled
            valid, payload = dict(zip(UNITS, rest[:4], strict=True)), dict(zip(UNITS, rest[4:8], strict=True))
            pe_job, finished, busy, reset, closed_port, hold = as_python(rest[8]), *rest[9:]
            if hold != held:
                self.log.append((cycle, "hold rises" if hold else "hold falls"))
            held = hold
            if not busy and cycle and done is None and any("i_reset" in inputs for inputs in faults.values()):
                done = cycle
            if reset:
                loading = fetching = finishing = writing = unwritten = written = 0
                tokens, routing, draining, collecting, owner = [], [], None, False, None
            if reset or closed_port:
                last = False
            assert bool(busy) == (0 < cycle and done is None)
            for name in faults.get(cycle, {}):
                target = member(dut, name)
                ctx.set(target, {} if isinstance(target, data.View) else 0)
            ctx.set(dut.i_start, 0)
            # ---- memory ----
            if asks and request_ready:
                self.log.append((cycle, "request"))
                start, count = request["address"], request["beats"] + 1
                assert start // config.burst_bytes == (start + count * width - 1) // config.burst_bytes
                due = max(cycle + self.latency, beats[-1][0] + 1 if beats else 0)
                for number in range(count):
                    place = start - self.address + number * width
                    word = int.from_bytes(memory[place:place + width], "little")
                    beats.append((due + number, word, int(place // width in self.bad_beats)))
            # ---- units ----
            for unit in UNITS if not reset else ():
                if valid[unit]:
                    self.log.append((cycle, f"{unit} offered"))
                if valid[unit] and ready[unit]:
                    self.jobs[unit].append(as_python(payload[unit]))
                    self.log.append((cycle, unit))
            if loading == 1:
                self.log.append((cycle, "tile done"))
            loading = span(self.tile_cycles) if valid["tile"] and ready["tile"] else max(0, loading - 1)
            fetching = max(0, fetching - 1)
            if valid["fetch"] and ready["fetch"]:
                tokens.append(span(self.token_cycles))
                fetching = span(10) + 5
            if last:
                assert draining is None and collecting, "tokens passed without a collector"
                self.log.append((cycle, "last"))
                self.owners.append(pe_job)
                tokens.pop(0)
                routing.pop()
                closed, draining = True, span(6)
            elif draining == 0:
                self.log.append((cycle, "drained"))
                draining, finishing = None, span(4)
            elif draining is not None:
                draining -= 1
            if valid["router"] and ready["router"]:
                routing.append(1)
            if writing == 1 and not finishing:
                self.log.append((cycle, "written"))
                written, unwritten = written + unwritten, 0
            writing = max(0, writing - 1)
            if finishing:
                finishing -= 1
                writing = span(15)
                if not finishing:
                    collecting = False
                    unwritten += 1
            if valid["collector"] and ready["collector"]:
                collecting = True
            if passes or draining is not None:
                assert owner in (None, pe_job), "PeJob changed before the array had drained"
                owner = pe_job
            elif not opened:
                owner = None
            if finished:
                assert done is None and not beats
                assert closed_port or not (collecting or writing or written or draining is not None)
                done = cycle
                self.log.append((cycle, "finished"))
            cycle += 1
        status = {name: ctx.get(dut.o_status[name]) for name in ("busy", "completed")}
        self.address_named = ctx.get(dut.o_status.error.address)
        error = dut.o_status.error
        return status | {name: ctx.get(error[name]) for name in ("code", "detail", "descriptor")}


def member(dut: Supervised, name: str) -> Any:
    """`name` or, of an array, `name.number`."""
    name, _, number = name.partition(".")
    found = getattr(dut, name)
    if number:
        return found[int(number)] if number.isdigit() else found[number]
    return found


def ended(completed: int, code: int = 0, detail: int = 0, descriptor: int = 0) -> dict[str, int]:
    return {"busy": 0, "completed": completed, "code": code, "detail": detail, "descriptor": descriptor}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tiles", ["01", "0", "w", "0r1r", "01w"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_unit_gets_its_jobs_once_and_in_order(count: int, tiles: str, seed: int) -> None:
    config = PRESETS["base"]
    descriptors = numbered(config, count, tiles)
    machine = Machine(config, descriptors, seed=seed)
    assert machine.run() == [ended(count)]
    assert machine.times("last") == count
    check_jobs(descriptors, machine.jobs, machine.owners)


@pytest.mark.parametrize("preset", ["tiny", "small", "large"])
@pytest.mark.parametrize("offset", [0, 1, 5])
def test_descriptors_may_start_at_any_beat(preset: str, offset: int) -> None:
    config = PRESETS[preset]
    machine = Machine(config, numbered(config, 3, "01"), address=BASE + offset * config.port_bytes)
    assert machine.run() == [ended(3)]
    assert [job["rows"] for job in machine.jobs["fetch"]] == [1, 2, 3]


@pytest.mark.parametrize("seed", range(3))
def test_tokens_pass_only_after_their_tile(seed: int) -> None:
    config = PRESETS["base"]
    machine = Machine(config, numbered(config, 4, "01"), seed=seed, tile_cycles=150)
    machine.run()
    for number in range(4):
        passes = [cycle for cycle, name in machine.log if name == "pass"
                  and (not number or cycle > machine.cycle_of("last", number - 1))]
        assert passes[0] >= machine.cycle_of("tile done", number) + 4


def test_a_tile_for_the_other_half_loads_while_the_owner_computes() -> None:
    config = PRESETS["base"]
    machine = Machine(config, numbered(config, 3, "01"), slow=False, token_cycles=200)
    machine.run()
    for number in (1, 2):
        assert machine.cycle_of("tile done", number) < machine.cycle_of("last", number - 1)
        assert machine.cycle_of("fetch", number) < machine.cycle_of("last", number - 1)
        assert machine.cycle_of("pass", number) <= machine.cycle_of("drained", number - 1) + 12


@pytest.mark.parametrize("second", [
    {"half": 0}, {"whole": 1}, {"half": 1, "pk_log2": 1},
], ids=["the same half", "a whole tile", "another P_k"])
def test_a_tile_waits_until_the_owner_has_drained(second: dict[str, int]) -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config), good(config, **second)], slow=False)
    assert machine.run() == [ended(2)]
    assert machine.cycle_of("drained", 0) < machine.cycle_of("tile", 1)
    assert machine.cycle_of("fetch", 1) < machine.cycle_of("drained", 0)


def test_a_half_tile_waits_for_a_whole_one() -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config, whole=1), good(config, half=1)], slow=False)
    machine.run()
    assert machine.cycle_of("drained", 0) < machine.cycle_of("tile", 1)


def test_fixed_cycles_around_a_job_are_few() -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config)], slow=False)
    machine.run()
    assert machine.cycle_of("request", 0) <= 2
    last_beat = machine.cycle_of("beat", DESCRIPTOR_BYTES // config.port_bytes - 1)
    for unit in UNITS:
        assert machine.cycle_of(f"{unit} offered", 0) <= last_beat + 4, unit
    assert machine.cycle_of("pass", 0) <= machine.cycle_of("tile done", 0) + 6
    # The model's writer is idle from the cycle after its last response.
    assert machine.cycle_of("finished", 0) <= machine.cycle_of("written", 0) + 2


def test_a_tile_may_be_used_again_by_the_next_job_but_not_after_reset() -> None:
    config = PRESETS["base"]
    again = Machine(config, [good(config, reuse_tile=1)])
    assert again.run() == [ended(0, ErrorCode.FIELD, field_number("reuse_tile"))]
    both = Machine(config, [good(config), good(config, reuse_tile=1)])
    assert both.run(jobs=2) == [ended(2)] * 2
    assert len(both.jobs["tile"]) == 2


@pytest.mark.parametrize("changes", [
    {"k_count": 8}, {"n_count": 8}, {"slice_words": 4}, {"half": 1}, {"half": 0, "whole": 1}, {"b_format": 1},
    {"pk_log2": 2}, {"group_log2": 1, "n_count": 4, "slice_words": 1}], ids=str)
def test_a_tile_is_not_used_again_in_another_shape(changes: dict[str, int]) -> None:
    # Sums of a packed tile would be left behind in accumulators that nobody drains.
    config = PRESETS["base"]
    machine = Machine(config, [good(config), good(config, reuse_tile=1, **changes)])
    assert machine.run() == [ended(1, ErrorCode.FIELD, field_number("reuse_tile"), 1)]


@pytest.mark.parametrize("name, changes", [
    ("opcode", {"opcode": 0}), ("opcode", {"opcode": 200}), ("a_format", {"a_format": 3}),
    ("half", {"half": 1, "whole": 1}), ("out_raw", {"out_int8": 1, "out_raw": 1}),
    ("pk_log2", {"pk_log2": 4}), ("pk_log2", {"group_log2": 1, "pk_log2": 2, "n_count": 4, "slice_words": 1}),
    ("group_log2", {"group_log2": 4, "n_count": 1, "slice_words": 1}),
    ("group_log2", {"group_log2": 1, "b_format": 1, "n_count": 4, "slice_words": 1}),
    ("rows", {"rows": 0}), ("k_count", {"k_count": 128 * 1024 + 1}),
    ("k_count", {"k_count": 32769, "b_format": 1, "slice_words": 2}),
    ("k_count", {"k_count": 4097}), ("k_count", {"k_count": 8193, "whole": 1}),
    ("c_stride", {"c_stride": 63}),
    ("n_count", {"n_count": 0}), ("n_count", {"n_count": 17}), ("n_count", {"n_count": 0xFFFFFFFF}),
    ("n_count", {"group_log2": 1, "n_count": 5, "slice_words": 1}),
    ("slice_words", {"group_log2": 1, "n_count": 4, "slice_words": 2}),
    ("slice_words", {"slice_words": 33}), ("slice_words", {"slice_words": 0x2800}),
    ("n_count", {"slice_words": 0}),
])
def test_a_bad_field_is_named_and_nothing_starts(name: str, changes: dict[str, int]) -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config), good(config, **changes), good(config)])
    code = ErrorCode.OPCODE if name == "opcode" else ErrorCode.FIELD
    assert machine.run() == [ended(1, code, field_number(name), 1)]
    assert all(len(machine.jobs[unit]) == 1 for unit in UNITS)


MERGED = {"opcode": Opcode.ELEMENTWISE.value, "b_format": 2, "out_csr": 1, "k_count": 70_000,
          "n_count": 70_000, "csr_index32": 1}


@pytest.mark.parametrize("name, changes", [
    ("b_format", {"b_format": 0}), ("b_format", {"opcode": Opcode.ELEMENTWISE_WIDE.value, "b_format": 1}),
    ("reuse_tile", {"reuse_tile": 1}),
    ("out_raw", {"out_raw": 1, "out_int8": 1}), ("rows", {"rows": 0}), ("k_start", {"k_start": 1}),
    ("n_start", {"n_start": 8}), ("out_csr", {"out_csr": 0}), ("out_csr", {"accumulate": 1}),
    ("csr_index32", {"csr_index32": 0}), ("csr_mode", {"csr_mode": CsrMode.COUNT.value}),
    ("csr_mode", {"csr_mode": CsrMode.PLACE.value, "accumulate": 1}),
    ("b_pointers", {"b_pointers": 2}),
    ("b_values", {"opcode": Opcode.ELEMENTWISE_WIDE.value, "b_nnz": 1, "b_values": 2}),
    ("operation", {"opcode": Opcode.ELEMENTWISE_WIDE.value, "operation": Operation.MULTIPLY.value}),
])
def test_a_bad_field_of_an_elementwise_descriptor_is_named(name: str, changes: dict[str, int]) -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config), good(config, **(MERGED | changes))])
    assert machine.run() == [ended(1, ErrorCode.FIELD, field_number(name), 1)]


def test_an_elementwise_descriptor_is_handed_on_whole() -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config, **MERGED, operation=Operation.MASK.value, rows=9)])
    machine.run()
    router, tile, collector = (machine.jobs[unit][0] for unit in ("router", "tile", "collector"))
    assert router["elementwise"] and router["merge"]["operation"] == Operation.MASK
    assert (tile["elementwise"], tile["merge_rows"], tile["merge_count"]) == (1, 9, 70_000)
    assert collector["elementwise"] and collector["out_csr"]


SPARSE = {"out_csr": 1, "n_count": 9, "slice_words": 1, "pk_log2": 0, "csr_index32": 1}


@pytest.mark.parametrize("name, changes", [
    ("n_start", {"n_start": (1 << 32) - 8}), ("n_start", {"n_start": (1 << 32) - 1}),
    ("group_log2", {"group_log2": 1, "pk_log2": 3, "n_count": 4}),
    ("out_csr", {"accumulate": 1}), ("out_csr", {"out_raw": 1}), ("out_csr", {"row_bias": 1}),
    ("cin_address", {"accumulate": 1, "csr_mode": CsrMode.COUNT.value, "cin_address": 2}),
    ("csr_index32", {"csr_index32": 0, "n_start": (1 << 16) - 8}),
])
def test_a_bad_field_of_a_result_in_csr_is_named(name: str, changes: dict[str, int]) -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config, **(SPARSE | changes))])
    assert machine.run() == [ended(0, ErrorCode.FIELD, field_number(name))]


@pytest.mark.parametrize("n_start", [1 << 20, 3, (1 << 32) - 9])
def test_a_block_of_a_result_in_csr_is_handed_on_whole(n_start: int) -> None:
    config = PRESETS["base"]
    for mode in CsrMode:
        accumulate = int(mode is not CsrMode.WHOLE)
        machine = Machine(config, [good(config, **SPARSE, n_start=n_start, csr_mode=mode.value,
                                        accumulate=accumulate, cin_stride=3)])
        assert machine.run() == [ended(1)]
        collector = machine.jobs["collector"][0]
        assert collector["accumulate"] == accumulate
        assert (collector["csr"]["mode"], collector["csr"]["first_column"]) == (mode, n_start)


def test_the_last_columns_that_sixteen_bits_name_are_taken() -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config, **(SPARSE | {"csr_index32": 0, "n_start": (1 << 16) - 9}))])
    assert machine.run() == [ended(1)]


@pytest.mark.parametrize("changes", [
    {"group_log2": 3, "n_count": 1, "slice_words": 1}, {"k_count": 0}, {"k_count": 4096},
    {"k_count": 8192, "whole": 1},
    {"k_count": 128 * 1024, "whole": 1, "group_log2": 3, "n_count": 1, "slice_words": 1},
    {"k_count": 65536, "b_format": 2, "whole": 1}, {"n_count": 1024, "pk_log2": 0, "slice_words": 16},
    {"out_int8": 1, "row_scale": 1}, {"b_format": 3, "pk_log2": 2, "slice_words": 4, "n_count": 64},
])
def test_the_largest_values_are_accepted(changes: dict[str, int]) -> None:
    config = PRESETS["base"]
    assert Machine(config, [good(config, **changes)]).run() == [ended(1)]


@pytest.mark.parametrize("name, step, changes", [
    ("a_pointers", 2, {"a_format": 1}), ("a_indices", 1, {"a_format": 1, "a_nnz": 3}),
    ("b_pointers", 2, {"b_format": 2}), ("b_indices", 1, {"b_format": 3, "b_nnz": 3}),
    ("cin_address", 2, {"accumulate": 1}), ("cin_stride", 2, {"accumulate": 1}),
    ("params_address", 2, {"row_bias": 1}), ("params_address", 2, {"row_scale": 1})])
def test_arrays_between_their_elements_are_refused_where_they_are_used(name: str, step: int,
                                                                       changes: dict[str, int]) -> None:
    config = PRESETS["base"]
    odd = {name: step}
    assert Machine(config, [good(config, **odd)]).run() == [ended(1)]
    assert Machine(config, [good(config, **changes)]).run() == [ended(1)]
    machine = Machine(config, [good(config, **changes, **odd)])
    assert machine.run() == [ended(0, ErrorCode.FIELD, field_number(name))]


def test_features_that_are_not_built_are_refused() -> None:
    config = Config(name="bare", compressed_b=False, scale_multipliers=0)
    for name in ("b_format", "out_int8"):
        machine = Machine(config, [good(config, **{name: 1})])
        assert machine.run() == [ended(0, ErrorCode.FIELD, field_number(name))]


@pytest.mark.parametrize("count, address", [(0, BASE), (1, BASE + 4)])
def test_bad_registers_end_the_job_without_a_read(count: int, address: int) -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config)], count=count, address=address)
    assert machine.run() == [ended(0, ErrorCode.FIELD, NOT_A_FIELD)]
    assert machine.times("request") == 0


def test_a_job_runs_after_one_that_failed() -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config), good(config, rows=0)])
    assert machine.run(jobs=3) == [ended(1, ErrorCode.FIELD, field_number("rows"), 1)] * 3


def test_a_descriptor_that_memory_does_not_give_is_not_started() -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config)] * 3, bad_beats=frozenset({11}), faults={
        cycle: {"i_read_error": {"valid": 1, "reader": 0}, "i_read_address": BASE + cycle}
        for cycle in (50, 60)})
    assert machine.run() == [ended(1, ErrorCode.READ_BUS, 0, 1)]
    assert machine.address_named == BASE + 50


VALID = {"valid": 1}


@pytest.mark.parametrize("inputs, code, detail, number, address", [
    ({"i_faults.0": VALID | {"code": ErrorCode.COLUMN_INDEX}, "i_fetch_fault_number": 1,
      "i_fault_addresses.0": 0x1230}, ErrorCode.COLUMN_INDEX, 0, 1, 0x1230),
    ({"i_faults.1": VALID | {"code": ErrorCode.ROW_POINTER}, "i_fault_addresses.1": 0x4560},
     ErrorCode.ROW_POINTER, 0, 0, 0x4560),
    ({"i_faults.2": VALID | {"code": ErrorCode.PACKED_OVERFLOW}}, ErrorCode.PACKED_OVERFLOW, 0, 0, 0),
    ({"i_read_error": VALID | {"reader": 2}, "i_fetch_numbers.1": 1, "i_read_address": 0x7890},
     ErrorCode.READ_BUS, 2, 1, 0x7890),
    ({"i_read_error": VALID | {"reader": 6}, "i_read_address": 0xABC0}, ErrorCode.READ_BUS, 6, 0, 0xABC0),
    ({"i_read_error": VALID | {"reader": 9}}, ErrorCode.READ_BUS, 9, 0, 0),
    ({"i_write_error": 1, "i_write_address": 0xDEF0}, ErrorCode.WRITE_BUS, 0, 0, 0xDEF0),
    ({"i_blocked": {"read": 1, "id": 3, "address": 0x990}, "i_fetch_numbers.2": 1},
     ErrorCode.BLOCKED, 3, 1, 0x990),
    ({"i_blocked": {"write": 1, "id": 3, "address": 0x880}}, ErrorCode.BLOCKED, NOT_A_FIELD, 0, 0x880),
], ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_a_fault_ends_the_job_and_the_first_one_is_named(inputs: dict, code: int, detail: int, number: int,
                                                         address: int) -> None:
    config = PRESETS["base"]
    machine = Machine(config, numbered(config, 6, "0"), slow=False, token_cycles=200, faults={
        80: inputs, 82: {"i_faults.1": VALID | {"code": ErrorCode.ROW_POINTER}}})
    # The owner is descriptor 0; descriptor 1, the head, is fetched ahead. Its tile waits for the owner's.
    assert machine.run(jobs=2) == [ended(0, code, detail, number)] * 2
    assert machine.address_named == address
    assert machine.times("collector") == 2 and machine.cycle_of("finished", 0) < 100


@pytest.mark.parametrize("head", range(1, 9))
@pytest.mark.parametrize("behind", [0, 1])
def test_a_unit_s_descriptor_is_the_head_or_one_before_it_whatever_its_number(head: int, behind: int) -> None:
    config = PRESETS["base"]
    quick = Machine(config, numbered(config, 10, "01"), slow=False, token_cycles=60)
    quick.run()
    fault = {"i_faults.0": VALID | {"code": ErrorCode.COLUMN_INDEX},
             "i_fetch_fault_number": (head - behind) % (1 << AT_WORK_BITS)}
    machine = Machine(config, numbered(config, 10, "01"), slow=False, token_cycles=60,
                      faults={quick.cycle_of("fetch", head) + 1: fault})
    [status] = machine.run()
    assert (status["code"], status["descriptor"]) == (ErrorCode.COLUMN_INDEX, head - behind)


def test_a_tile_is_to_blame_for_what_comes_while_it_is_still_stored() -> None:
    config = PRESETS["base"]
    overflow = {"i_faults.2": VALID | {"code": ErrorCode.PACKED_OVERFLOW}}
    quick = Machine(config, numbered(config, 4, "01"), slow=False, token_cycles=300)
    quick.run()
    done = quick.cycle_of("tile done", 0)
    numbers = []
    for cycle in (done + 1, done + 2, done + 3, done + 9):
        machine = Machine(config, numbered(config, 4, "01"), slow=False, token_cycles=300,
                          faults={cycle: overflow})
        [status] = machine.run()
        numbers.append(status["descriptor"])
    assert numbers == [0, 0, 0, 1]


@pytest.mark.parametrize("name", ["a_values", "b_values", "c_address"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_array_outside_its_window_is_named_when_all_before_it_is_done(name: str, number: int) -> None:
    config = PRESETS["base"]
    descriptors = [good(config) for _ in range(4)]
    descriptors[number][name] = 0xFFFFFFFF - 15 if name == "b_values" else 0xFFFFFFFF
    descriptors[number]["b_stride"] = 1
    machine = Machine(config, descriptors)
    assert machine.run() == [ended(number, ErrorCode.OUTSIDE, field_number(name), number)]
    assert machine.address_named == descriptors[number][name]


def test_no_address_goes_out_before_all_arrays_are_known_to_be_inside() -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config, cin_stride=0xFFFC, accumulate=1, rows=0xFFFF)], slow=False)
    machine.run()
    holds = machine.cycle_of("hold falls", 0)
    assert machine.cycle_of("hold rises", 0) <= machine.cycle_of("fetch offered", 0) < holds
    assert holds <= machine.cycle_of("fetch offered", 0) + 20


@pytest.mark.parametrize("count, address", [(2, 0xFFFFFF80), (0xFFFF, 0xFF900000), (1, 0x1000)])
def test_descriptors_outside_the_read_window_are_not_read(count: int, address: int) -> None:
    config = PRESETS["base"]
    window = {"base": 0x2000 >> 6, "last": 0xFFFFFFFF >> 6}
    machine = Machine(config, [good(config)], count=count, address=address,
                      settings={"i_windows.read": window})
    assert machine.run() == [ended(0, ErrorCode.OUTSIDE, NOT_A_FIELD)]
    assert machine.address_named == address and machine.times("request") == 0


@pytest.mark.parametrize("how", ["i_abort", "i_reset"])
@pytest.mark.parametrize("cycle", [1, 5, 20, 60, 150])
def test_a_job_ends_when_it_is_told_to_and_the_next_one_runs(how: str, cycle: int) -> None:
    config = PRESETS["base"]
    machine = Machine(config, numbered(config, 3, "01"), slow=False, token_cycles=200,
                      faults={cycle: {how: 1}}, faulty_jobs=1)
    stopped = ended(0, ErrorCode.ABORTED) if how == "i_abort" else ended(0)
    assert machine.run(jobs=2) == [stopped, ended(3)]
    assert machine.times("finished") == 1 + (how == "i_abort")


@pytest.mark.parametrize("preset", ["tiny", "base"])
def test_it_converts_to_verilog(preset: str) -> None:
    assert "module" in emit_verilog(CommandProcessor(PRESETS[preset]), "command")
