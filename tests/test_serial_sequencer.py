"""hdl.serial_sequencer: programs do what their instructions say, in as many cycles."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.emit import emit_verilog
from hdl.serial_code import (
    INDIRECT,
    LOOKS,
    OUTSTANDING,
    VECTOR_WORDS,
    Assembler,
    Event,
    Op,
    Program,
    Register,
    Request,
    Source,
    Stream,
)
from hdl.serial_sequencer import Sequencer

WORD = (1 << 32) - 1
EDGES = (0, 1, 2, 3, 0x7FFF_FFFF, 0x8000_0000, WORD - 1, WORD)


def program(write: Callable[[Assembler], None], vectors: Iterable[int] = ()) -> Program:
    """What `write` writes, which ends with the event FINISHED; a trap ends with REPORT. Requests of `vectors`
    set MODE to their numbers and go to the place "served"."""
    code = Assembler()
    for number in vectors:
        code.at(number * VECTOR_WORDS)
        code.do(Op.LOAD, code.constant(number))
        code.do(Op.SET, Register.MODE)
        code.do(Op.JUMP, "served")
    code.label("first")
    write(code)
    code.do(Op.EVENT, Event.FINISHED)
    code.do(Op.JUMP, "halt")
    code.label("trap")
    code.do(Op.EVENT, Event.REPORT)
    code.label("halt")
    code.do(Op.JUMP, "halt")
    return code.program("first", "trap")


@dataclass
class Run:
    """What a program did, and in which cycles.

    `log` has ("set", register, value), ("event", event), ("want", stream, wants), ("read" or "write", stream,
    address, beats, looks).
    """

    log: list[tuple] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)     # cycles in which a word of VALUES was
    still: list[int] = field(default_factory=list)     # cycles in which nothing moved
    last_bytes: list[int] = field(default_factory=list)   # after each burst

    def sets(self, register: Register = Register.MODE) -> list[int]:
        return [entry[2] for entry in self.log if entry[:2] == ("set", register)]

    def of(self, kind: str) -> list[tuple]:
        return [entry[1:] for entry in self.log if entry[0] == kind]

    def events(self) -> list[Event]:
        return [entry[1] for entry in self.log if entry[0] == "event"]

    def cycle_of(self, *entry: Any) -> int:
        return self.cycles[self.log.index(entry)]


def run(written: Program, *, cycles: int | None = None, sources: dict[Source, int] | None = None,
        values: Sequence[int] = (), requests: Callable[[int, Run], int] = lambda cycle, run: 0,
        trap: Callable[[int, Run], bool] = lambda cycle, run: False, log_of: int = 0,
        slots: Sequence[int] = (), seed: int = 0, gap: float = 0.0, stall: float = 0.0,
        offers: bool = True) -> Run:
    """Run a program until it has finished, and some cycles more, or for so many cycles.

    sources : what is read outside; values : words of the source VALUES
    requests, trap : what is asked for in a cycle
    log_of, slots : `i_log`; `i_slot` of each burst
    gap, stall : chances that the next word of VALUES is not there, that a burst is not taken
    offers : bursts that are not taken are on offer, otherwise they wait for room
    """
    dut, result = Sequencer(written), Run()
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def bench(ctx: Any) -> None:
        rng, words, there = random.Random(f"{seed} sequencer"), list(values), False
        for source, value in (sources or {}).items():
            ctx.set(dut.i_sources[source], value)
        ctx.set(dut.i_log, log_of)
        bursts, held, end, cycle = list(slots), None, cycles, 0
        while end is None or cycle < end:
            there = bool(words) and (there or rng.random() >= gap)
            ctx.set(dut.i_source_there, there)
            ctx.set(dut.i_sources[Source.VALUES], words[0] if there else rng.getrandbits(32))
            ctx.set(dut.i_requests, requests(cycle, result))
            ctx.set(dut.i_trap, trap(cycle, result))
            ready = rng.random() >= stall
            ctx.set(dut.i_read_ready, ready)
            ctx.set(dut.i_write_ready, ready)
            ctx.set(dut.i_slot, bursts[0] if bursts else 0)
            asks = ctx.get(dut.o_read) or ctx.get(dut.o_write)
            ctx.set(dut.i_offered, asks and offers)
            last_bytes = ctx.get(dut.o_last_bytes)
            _, _, accumulator, nonzero, sets, events, wants, stream, reads, looks, writes, *rest = (
                await ctx.tick().sample(
                    dut.o_accumulator, dut.o_nonzero, dut.o_set, dut.o_event, dut.o_want, dut.o_stream,
                    dut.o_read, dut.o_looks, dut.o_write, dut.o_beats, dut.o_take, dut.o_moves))
            beats, take, moves = rest
            assert nonzero == (accumulator != 0)
            found: list[tuple] = [("set", register, accumulator) for register in Register
                                  if sets >> register & 1]
            found += [("event", event) for event in Event if events >> event & 1]
            if wants:
                found.append(("want", Stream(stream), nonzero))
            assert not (reads and writes)
            if reads or writes:
                burst = ("read" if reads else "write", Stream(stream), accumulator, beats + 1, looks)
                assert held in (None, burst), f"{held} became {burst}"
                held = None if ready or not offers else burst
                if ready:
                    found.append(burst)
                    bursts = bursts[1:]
                    result.last_bytes.append(ctx.get(dut.o_last_bytes))
                else:
                    assert ctx.get(dut.o_last_bytes) == last_bytes
            else:
                assert held is None, f"{held} is not offered any more"
            assert there or not take
            if take:
                words.pop(0)
                result.taken.append(cycle)
                there = False
            if not moves:
                result.still.append(cycle)
            result.log += found
            result.cycles += [cycle] * len(found)
            if end is None and ("event", Event.FINISHED) in found:
                end = cycle + 15
            cycle += 1
            assert cycle < 8000, f"no end; {result.log}"

    simulator.add_testbench(bench)
    simulator.run()
    return result


# ---- arithmetic ------------------------------------------------------------------------------------------


def with_carry(code: Assembler, name: str) -> None:
    """MODE is set to the accumulator where there is no carry, WHY where there is one."""
    code.do(Op.JUMP_CARRY, f"carry {name}")
    code.do(Op.SET, Register.MODE)
    code.do(Op.JUMP, f"on {name}")
    code.label(f"carry {name}")
    code.do(Op.SET, Register.WHY)
    code.label(f"on {name}")


def result_of(value: int, carry: bool) -> tuple:
    return "set", Register.WHY if carry else Register.MODE, value & WORD


def pairs(seed: int, count: int) -> list[tuple[int, int]]:
    rng = random.Random(seed)
    return [tuple(rng.choice([rng.choice(EDGES), rng.getrandbits(32), rng.getrandbits(rng.randrange(1, 33))])
                  for _ in range(2)) for _ in range(count)]


@pytest.mark.parametrize("op, source_op", [
    (Op.ADD, Op.ADD_FROM), (Op.SUBTRACT, Op.SUBTRACT_FROM)])
@pytest.mark.parametrize("seed", range(2))
def test_sums_and_differences_wrap_and_leave_a_carry(op: Op, source_op: Op, seed: int) -> None:
    cases = [*pairs(seed, 40), (5, 5), (WORD, 1), (0, 1), (1 << 31, 1 << 31)]

    def write(code: Assembler) -> None:
        for number, (one, other) in enumerate(cases):
            code.do(Op.LOAD, code.constant(one))
            code.do(op, code.constant(other))
            with_carry(code, str(number))
        code.do(Op.LOAD, code.constant(1))
        code.do(source_op, Source.COUNT)
        with_carry(code, "source")

    outside = random.Random(seed).getrandbits(32)
    exact = [one + other if op is Op.ADD else one - other for one, other in [*cases, (1, outside)]]
    assert run(program(write), sources={Source.COUNT: outside}).log == [
        *(result_of(value, not 0 <= value <= WORD) for value in exact), ("event", Event.FINISHED)]


@pytest.mark.parametrize("seed", range(2))
def test_products_and_whether_they_fit_are_pythons(seed: int) -> None:
    cases = [*pairs(seed, 20), (0xFFFF, 0x10001), (0x10000, 0x10000), (WORD, 1), (1, WORD), (0, WORD),
             (3, 0x5555_5555), (3, 0x5555_5556), (1 << 31, 2), (2, 1 << 31), (WORD, WORD)]

    def write(code: Assembler) -> None:
        for number, (factor, other) in enumerate(cases):
            code.do(Op.LOAD, code.constant(factor))
            code.do(Op.FACTOR)
            code.do(Op.LOAD, code.constant(0))
            code.do(Op.MULTIPLY, code.constant(other))
            with_carry(code, str(number))

    assert run(program(write)).log == [
        *(result_of(one * other, one * other > WORD) for one, other in cases), ("event", Event.FINISHED)]


def test_bits_are_chosen_by_masks_inside_and_outside() -> None:
    def write(code: Assembler) -> None:
        code.do(Op.LOAD, code.constant(0x1234_5678))
        code.do(Op.AND, code.constant(0xFF00_FFF0))
        code.do(Op.SET, Register.MODE)
        code.do(Op.AND_FROM, Source.NEWS)
        code.do(Op.SET, Register.MODE)

    assert run(program(write), sources={Source.NEWS: 0x1F_0FF0}).sets() == [0x1200_5670, 0x670]


@pytest.mark.parametrize("op", [Op.LOAD, Op.AND, Op.STORE, Op.SET])
def test_other_instructions_leave_the_carry(op: Op) -> None:
    def write(code: Assembler) -> None:
        for carry in (0, 1):
            code.do(Op.LOAD, code.constant(0))
            code.do(Op.SUBTRACT, code.constant(carry))
            code.do(op, Register.COLUMNS if op is Op.SET else code.constant(5) if op is not Op.STORE else 3)
            with_carry(code, str(carry))

    log = run(program(write)).log
    assert [entry[1] for entry in log if entry[0] == "set" and entry[1] != Register.COLUMNS] == [
        Register.MODE, Register.WHY]


@pytest.mark.parametrize("source", [source for source in Source if source is not Source.VALUES])
def test_every_source_is_read_as_it_is(source: Source) -> None:
    def write(code: Assembler) -> None:
        code.do(Op.LOAD_FROM, source)
        code.do(Op.SET, Register.MODE)

    numbers = {other: 0x1111_1111 * (other + 1) for other in Source}
    assert run(program(write), sources=numbers).sets() == [numbers[source]]


# ---- memory ----------------------------------------------------------------------------------------------


def test_words_that_are_stored_are_there_two_instructions_later() -> None:
    def write(code: Assembler) -> None:
        for number in range(4):
            code.do(Op.LOAD, code.constant(100 + number))
            code.do(Op.STORE, code.variable(f"x{number}"))
        for number in (2, 0, 3, 1):
            code.do(Op.LOAD, code.variable(f"x{number}"))
            code.do(Op.SET, Register.MODE)
        code.do(Op.STORE, code.variable("y"))
        code.do(Op.SET, Register.WHY)
        code.do(Op.ADD, code.variable("y"))
        code.do(Op.SET, Register.MODE)

    assert run(program(write)).sets() == [102, 100, 103, 101, 202]


def test_a_constant_is_not_a_variable_of_the_same_number() -> None:
    def write(code: Assembler) -> None:
        code.do(Op.LOAD, code.constant(7))
        code.do(Op.STORE, 0)
        code.do(Op.LOAD, code.constant(9))
        code.do(Op.STORE, 1)
        for place in (code.constant(7), 0, code.constant(9), 1):
            code.do(Op.LOAD, place)
            code.do(Op.SET, Register.MODE)

    assert run(program(write)).sets() == [7, 7, 9, 9]


# ---- jumps -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op, taken_for", [
    (Op.JUMP, lambda value: True), (Op.JUMP_ZERO, lambda value: value == 0),
    (Op.JUMP_NONZERO, lambda value: value != 0)])
def test_jumps_are_taken_by_what_the_accumulator_is(op: Op, taken_for: Callable[[int], bool]) -> None:
    values = (0, 1, 1 << 31, 1 << 15, 0)

    def write(code: Assembler) -> None:
        for number, value in enumerate(values):
            code.do(Op.LOAD, code.constant(value))
            code.do(op, f"place {number}")
            code.do(Op.SET, Register.MODE)
            code.label(f"place {number}")

    assert run(program(write)).sets() == [value for value in values if not taken_for(value)]


def test_a_jump_may_go_back() -> None:
    def write(code: Assembler) -> None:
        code.do(Op.LOAD, code.constant(5))
        code.label("again")
        code.do(Op.SET, Register.MODE)
        code.do(Op.SUBTRACT, code.constant(1))
        code.do(Op.JUMP_NONZERO, "again")

    assert run(program(write)).sets() == [5, 4, 3, 2, 1]


def test_a_call_returns_behind_the_place_that_it_came_from() -> None:
    def write(code: Assembler) -> None:
        code.do(Op.LOAD, code.constant(0))
        for number in range(3):
            code.do(Op.CALL, "below")
            code.do(Op.SET, Register.MODE)
            for _ in range(number):
                code.do(Op.STORE, 0)
        code.do(Op.JUMP, "end")
        code.label("below")
        code.do(Op.ADD, code.constant(3))
        code.do(Op.JUMP_ZERO, "end")
        code.do(Op.RETURN)
        code.label("end")

    assert run(program(write)).sets() == [3, 6, 9]


# ---- what goes out ---------------------------------------------------------------------------------------


def test_each_register_is_set_once_with_the_accumulator() -> None:
    def write(code: Assembler) -> None:
        for register in Register:
            code.do(Op.LOAD, code.constant(1000 + register))
            code.do(Op.SET, register)

    assert run(program(write)).of("set") == [(register, 1000 + register) for register in Register]


def test_each_event_happens_once() -> None:
    others = [event for event in Event if event is not Event.FINISHED]

    def write(code: Assembler) -> None:
        for event in others:
            code.do(Op.EVENT, event)

    assert run(program(write)).log == [("event", event) for event in [*others, Event.FINISHED]]


def test_a_stream_wants_bursts_where_the_accumulator_is_not_zero() -> None:
    def write(code: Assembler) -> None:
        for value in (0, 7):
            code.do(Op.LOAD, code.constant(value))
            for stream in Stream:
                code.do(Op.WANT, stream)

    assert run(program(write)).of("want") == [(stream, wants) for wants in (0, 1) for stream in Stream]


# ---- bursts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stall", [0.0, 0.7])
@pytest.mark.parametrize("op", [Op.READ, Op.WRITE])
def test_a_burst_ends_with_its_limit_or_the_piece_of_sixteen_beats(op: Op, stall: float) -> None:
    rng = random.Random(op)
    limits = [4, 8, 32, 60, 64, 68, 1000, 1 << 31]
    cases = [(limit, rng.getrandbits(24) << 8 | rng.choice([0, 4, 32, 56, 60, 64, 124, 3, 61, 192]))
             for limit in limits for _ in range(4)]

    def write(code: Assembler) -> None:
        for limit, address in cases:
            code.do(Op.LOAD, code.constant(limit))
            code.do(Op.LIMIT)
            code.do(Op.LOAD, code.constant(address))
            code.do(op, Stream.PARAMETERS if op is Op.READ else Stream.RESULTS)

    result = run(program(write), stall=stall)
    wanted = [(address, min(limit // 4, 16 - address // 4 % 16)) for limit, address in cases]
    stream = Stream.PARAMETERS if op is Op.READ else Stream.RESULTS
    assert result.of("read" if op is Op.READ else "write") == [
        (stream, address, beats, 0) for address, beats in wanted]
    assert not result.of("write" if op is Op.READ else "read")
    assert result.last_bytes == [4 * beats for _, beats in wanted]


def test_a_burst_may_have_sixteen_beats_before_any_limit_is_given() -> None:
    def write(code: Assembler) -> None:
        code.do(Op.LOAD, code.constant(0x1000))
        code.do(Op.READ, Stream.VALUES)

    assert run(program(write)).of("read") == [(Stream.VALUES, 0x1000, 16, 0)]


def test_a_burst_goes_out_for_each_stream_and_may_look_for_room() -> None:
    def write(code: Assembler) -> None:
        for stream in Stream:
            code.do(Op.READ, stream)
            code.do(Op.READ, stream | LOOKS)

    bursts = run(program(write), stall=0.5).of("read")
    assert [(stream, looks) for stream, _, _, looks in bursts] == [
        (stream, looks) for stream in Stream for looks in (0, 1)]


@pytest.mark.parametrize("op", [Op.READ, Op.WRITE])
def test_a_burst_that_was_cut_short_can_be_told(op: Op) -> None:
    cases = [(limit, address) for limit in (4, 8, 60, 64) for address in (0, 4, 8, 56, 60)]

    def write(code: Assembler) -> None:
        for number, (limit, address) in enumerate(cases):
            code.do(Op.LOAD, code.constant(limit))
            code.do(Op.LIMIT)
            code.do(Op.LOAD, code.constant(address))
            code.do(op, Stream.RESULTS)
            code.do(Op.JUMP_SPLIT, f"split {number}")
            code.do(Op.SET, Register.MODE)
            code.do(Op.JUMP, f"on {number}")
            code.label(f"split {number}")
            code.do(Op.SET, Register.WHY)
            code.label(f"on {number}")

    result = run(program(write), stall=0.3)
    assert [entry for entry in result.log if entry[0] == "set"] == [
        ("set", Register.WHY if limit > 64 - address else Register.MODE, address) for limit, address in cases]


def test_the_log_has_the_addresses_of_each_stream_s_last_bursts() -> None:
    rng = random.Random(3)
    bursts = [(stream, number % OUTSTANDING, rng.getrandbits(30) << 2)
              for number in range(6) for stream in (Stream.RESULTS, Stream.VALUES, Stream.PARAMETERS)]

    def write(code: Assembler) -> None:
        for stream, _, address in bursts:
            code.do(Op.LOAD, code.constant(address))
            code.do(Op.READ if stream else Op.WRITE, stream)
        code.do(Op.SET, Register.MODE)
        code.do(Op.LOAD, INDIRECT)
        code.do(Op.SET, Register.WHY)

    written = program(write)
    last = {(stream, slot): address for stream, slot, address in bursts}
    for (stream, slot), address in last.items():
        result = run(written, log_of=stream | slot << 3, slots=[slot for _, slot, _ in bursts], stall=0.4)
        assert result.sets(Register.WHY) == [address], (stream, slot)


# ---- words that are waited for -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_each_word_of_values_is_waited_for_and_taken_once(seed: int) -> None:
    words = [random.Random(seed).getrandbits(32) for _ in range(25)]

    def write(code: Assembler) -> None:
        for number in range(20):
            code.do(Op.LOAD_FROM, Source.VALUES)
            code.do(Op.SET, Register.MODE)
            if number % 3:
                code.do(Op.LOAD_FROM, Source.COUNT)

    result = run(program(write), values=words, seed=seed, gap=(0.0, 0.5, 0.9)[seed])
    assert result.sets() == words[:20] and len(result.taken) == 20


def test_words_that_follow_each_other_are_taken_one_a_cycle() -> None:
    def write(code: Assembler) -> None:
        for _ in range(8):
            code.do(Op.LOAD_FROM, Source.VALUES)
        code.do(Op.SET, Register.MODE)

    result = run(program(write), values=list(range(100, 110)))
    assert result.sets() == [107]
    assert result.taken == list(range(result.taken[0], result.taken[0] + 8))


# ---- requests --------------------------------------------------------------------------------------------


def serves(code: Assembler, count: int) -> None:
    """Serves so many requests."""
    code.do(Op.LOAD, code.constant(count))
    code.do(Op.STORE, code.variable("left"))
    code.label("serve")
    code.do(Op.SERVE)
    code.label("served")
    code.do(Op.LOAD, code.variable("left"))
    code.do(Op.SUBTRACT, code.constant(1))
    code.do(Op.STORE, code.variable("left"))
    code.do(Op.JUMP_NONZERO, "serve")


@pytest.mark.parametrize("seed", range(3))
def test_the_first_of_the_requests_is_served(seed: int) -> None:
    rng, count = random.Random(seed), 30
    masks = [rng.choice([1 << rng.randrange(8), rng.randrange(1, 256), 0x80 | rng.getrandbits(7)])
             for _ in range(count)]

    def requests(cycle: int, result: Run) -> int:
        served = len(result.sets())
        return masks[served] if served < count else 0

    result = run(program(lambda code: serves(code, count), range(8)), requests=requests)
    assert result.sets() == [(mask & -mask).bit_length() - 1 for mask in masks]


def test_a_request_is_waited_for() -> None:
    def requests(cycle: int, result: Run) -> int:
        return (cycle == 60) << Request.END | (cycle > 100) << Request.START

    result = run(program(lambda code: serves(code, 2), range(8)), requests=requests)
    assert result.sets() == [Request.END, Request.START]
    assert {*range(20, 60), *range(80, 101)} <= set(result.still) and 60 not in result.still


# ---- traps -----------------------------------------------------------------------------------------------


def test_a_trap_comes_once_though_its_cause_stays() -> None:
    def write(code: Assembler) -> None:
        code.label("again")
        code.do(Op.ADD, code.constant(1))
        code.do(Op.SET, Register.MODE)
        code.do(Op.JUMP, "again")

    for cause in (range(20, 21), range(20, 90)):
        result = run(program(write), cycles=100, trap=lambda cycle, run: cycle in cause)
        assert result.events() == [Event.REPORT]
        assert 20 <= result.cycle_of("event", Event.REPORT) <= 26
        assert max(cycle for cycle, entry in zip(result.cycles, result.log, strict=True)
                   if entry[0] == "set") <= 20


@pytest.mark.parametrize("waits", ["serve", "values"])
def test_a_trap_ends_a_wait(waits: str) -> None:
    def write(code: Assembler) -> None:
        if waits == "serve":
            code.do(Op.SERVE)
        else:
            code.do(Op.LOAD_FROM, Source.VALUES)

    assert run(program(write), cycles=60).log == []
    result = run(program(write), cycles=60, trap=lambda cycle, run: cycle >= 30)
    assert result.log == [("event", Event.REPORT)] and not result.taken


def test_a_trap_ends_the_wait_of_a_burst_for_room() -> None:
    def write(code: Assembler) -> None:
        code.do(Op.READ, Stream.VALUES)

    result = run(program(write), cycles=60, stall=1.0, offers=False, trap=lambda cycle, run: cycle >= 30)
    assert result.log == [("event", Event.REPORT)]


@pytest.mark.parametrize("op", [Op.READ, Op.WRITE])
@pytest.mark.parametrize("seed", range(4))
def test_a_trap_waits_for_the_burst_that_is_on_offer(op: Op, seed: int) -> None:
    """That it stays on offer is a part of `run`."""
    def write(code: Assembler) -> None:
        code.label("again")
        code.do(op, Stream.RESULTS)
        code.do(Op.JUMP, "again")

    result = run(program(write), cycles=200, stall=0.85, seed=seed, trap=lambda cycle, run: cycle >= 50)
    assert result.events() == [Event.REPORT] and result.log[-1] == ("event", Event.REPORT)
    assert result.cycle_of("event", Event.REPORT) >= 50


# ---- cycles ----------------------------------------------------------------------------------------------


def test_an_instruction_takes_a_cycle() -> None:
    def write(code: Assembler) -> None:
        for number in range(10):
            code.do(Op.SET, Register.MODE)
            if number % 3 == 0:
                code.do(Op.JUMP_NONZERO, "nowhere near")
        code.label("nowhere near")

    result = run(program(write))
    steps = [after - before for before, after in pairwise(result.cycles)]
    assert steps == [2 if number % 3 == 0 else 1 for number in range(10)]


@pytest.mark.parametrize("op", [Op.JUMP, Op.JUMP_ZERO, Op.CALL])
def test_a_jump_that_is_taken_takes_two_cycles(op: Op) -> None:
    def write(code: Assembler) -> None:
        code.do(Op.LOAD, code.constant(0))
        code.do(Op.SET, Register.MODE)
        code.do(op, "there")
        code.do(Op.SET, Register.WHY)
        code.label("there")
        code.do(Op.SET, Register.MODE)

    result = run(program(write))
    assert result.log[:2] == [("set", Register.MODE, 0)] * 2
    assert result.cycles[1] - result.cycles[0] == 3


def test_a_return_and_a_request_take_two_cycles() -> None:
    def write(code: Assembler) -> None:
        code.do(Op.JUMP, "begin")
        code.label("below")
        code.do(Op.SET, Register.WHY)
        code.do(Op.RETURN)
        code.label("begin")
        code.do(Op.CALL, "below")
        code.do(Op.SET, Register.MODE)
        code.do(Op.SERVE)
        code.label("served")

    result = run(program(write, [0]), requests=lambda cycle, run: 1)
    why, mode = result.cycle_of("set", Register.WHY, 0), result.cycles[1]
    assert (result.log[1], mode - why) == (("set", Register.MODE, 0), 3)
    # The vector's first instruction loads.
    assert result.cycles[2] - mode == 4


def test_steps_of_a_product_move() -> None:
    def write(code: Assembler) -> None:
        code.do(Op.SET, Register.MODE)
        code.do(Op.MULTIPLY, code.constant(3))
        code.do(Op.SET, Register.MODE)

    result = run(program(write))
    begin, end = result.cycles[:2]
    assert end - begin <= 33 and not set(range(begin, end)) & set(result.still)


def test_it_converts_to_verilog() -> None:
    assert "module block" in emit_verilog(Sequencer(program(lambda code: None)), "block")
