"""The sequencer of a serial array: one accumulator, a memory of words, a program in block RAM."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .attributes import IN_BLOCK_RAM
from .serial_code import (
    CODE_BITS,
    CONSTANTS,
    LOG_BASE,
    MEMORY_WORDS,
    NEWS_LAST_BITS,
    OP_SHIFT,
    PLACE_BITS,
    SLOT_BITS,
    WORDS,
    Event,
    Op,
    Program,
    Register,
    Source,
)
from .serial_queue import WORD_BITS

__all__ = ["Sequencer"]

_BURST_BITS = 4
_LOG = Const(LOG_BASE >> 5, 3)


class Sequencer(wiring.Component):
    """Runs a `Program`: everything of a serial array that does not have to happen each cycle.

    Throughput: one instruction a cycle, a jump that is taken two.
    Latency: three cycles from a place in the program to the accumulator.
    Backpressure: SERVE, READ, WRITE and the source VALUES wait; a trap ends the first and the last of these.
    Order: that of the program.

    Parameters
    ----------
    program : Program

    Members
    -------
    i_requests : a bit a Request, the first one that is set is served
    i_sources : array of what each Source reads, 32 bits
    i_source_there : the word of VALUES is there
    o_take : it is taken
    i_trap : goes on at the program's trap, once
    i_log : stream and number of a burst, whose address an indirect address reads
    o_accumulator : 32 bits, what these are about:
    o_set : one bit a Register, the accumulator is for it
    o_event : one bit an Event, it happens
    o_want, o_stream : the stream's wants are set, to whether the accumulator is not zero (o_nonzero)
    o_read, i_read_ready : a burst for o_stream, o_beats beats less one from the accumulator's address on
    o_looks : only where there is room; a request that was served has looked
    o_last_bytes : of the last burst of either kind
    o_write, i_write_ready : the same to be written
    i_offered : the burst is on offer, and stays so
    o_moves : an instruction is done, or a step of one
    i_slot : number of o_stream's next burst, as the log has it
    """

    def __init__(self, program: Program):
        self._program = program
        super().__init__({
            "i_requests": In(8),
            "i_sources": In(data.ArrayLayout(WORD_BITS, len(Source))),
            "i_source_there": In(1),
            "o_take": Out(1),
            "i_trap": In(1),
            "i_log": In(3 + SLOT_BITS),
            "o_accumulator": Out(WORD_BITS),
            "o_nonzero": Out(1),
            "o_set": Out(len(Register)),
            "o_event": Out(len(Event)),
            "o_want": Out(1),
            "o_stream": Out(3),
            "o_read": Out(1),
            "o_looks": Out(1),
            "o_write": Out(1),
            "o_beats": Out(_BURST_BITS),
            "o_last_bytes": Out(NEWS_LAST_BITS),
            "i_read_ready": In(1),
            "i_write_ready": In(1),
            "i_offered": In(1),
            "i_slot": In(SLOT_BITS),
            "o_moves": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        program = self._program
        m.submodules.program = code = Memory(shape=CODE_BITS, depth=WORDS, init=program.words,
                                             attrs=IN_BLOCK_RAM)
        # Constants are there from the beginning: nothing is written to that half.
        m.submodules.memory = memory = Memory(shape=WORD_BITS, depth=MEMORY_WORDS,
                                              init=[0] * CONSTANTS + program.constants, attrs=IN_BLOCK_RAM)
        fetched, read, write = code.read_port(), memory.read_port(), memory.write_port()
        goes, jumps, target = Signal(), Signal(), Signal(PLACE_BITS)
        # ---- fetch: the place after the one before, or where a jump goes ----
        place, next_place = Signal(PLACE_BITS), Signal(PLACE_BITS)
        begun = Signal()      # the program's first place is asked for
        m.d.comb += [
            next_place.eq(Mux(jumps, target, Mux(begun, place + 1, program.first))),
            fetched.addr.eq(next_place), fetched.en.eq(goes),
        ]
        # ---- decode: the memory is read ----
        there = Signal()
        op, argument, valid = Signal(CODE_BITS - OP_SHIFT), Signal(OP_SHIFT), Signal()
        m.d.comb += [
            read.addr.eq(Mux(fetched.data[8], Cat(self.i_log, _LOG), fetched.data)),
            read.en.eq(goes),
        ]
        with m.If(goes):
            m.d.sync += [place.eq(next_place), begun.eq(1), there.eq(1), valid.eq(there & ~jumps),
                         op.eq(fetched.data[OP_SHIFT:]), argument.eq(fetched.data[:OP_SHIFT])]
        # ---- execute ----
        self._op, self._argument, self._valid, self._goes = op, argument, valid, goes
        self._trapped, self._split = Signal(), Signal()
        self._arithmetic(m, read.data)
        self._jump(m, jumps, target, place)
        self._act(m, write)
        return m

    def _is(self, op: Op) -> Signal:
        """The instruction that is executed is that."""
        return self._valid & (self._op == op)

    def _arithmetic(self, m: Module, word: Signal) -> None:
        accumulator, bits = self.o_accumulator, self._op
        number, operand, outside = Signal(WORD_BITS), Signal(WORD_BITS), Signal()
        base, result, lost = Signal(WORD_BITS), Signal(WORD_BITS + 1), Signal()
        multiplies, subtracts, factor, step = Signal(), Signal(), Signal(WORD_BITS), Signal(range(WORD_BITS))
        self._carry, self._multiplies_on = Signal(), Signal()
        m.d.comb += [
            number.eq(self.i_sources[self._argument[:3]]),
            outside.eq(bits[3]), subtracts.eq(bits[1]), multiplies.eq(bits[2]),
            # ---- a bit of the factor, the highest first, adds the word or nothing ----
            operand.eq(Mux(outside, number, Mux(multiplies & ~factor[-1], 0, word))),
            base.eq(Mux(multiplies, accumulator << 1, accumulator)),
            lost.eq(multiplies & accumulator[-1]),
            result.eq(base + (operand ^ subtracts.replicate(WORD_BITS)) + subtracts),
            self._multiplies_on.eq(self._is(Op.MULTIPLY) & (step != WORD_BITS - 1)),
            self.o_nonzero.eq(accumulator.any()),
            self.o_take.eq(self._is(Op.LOAD_FROM) & (self._argument[:3] == Source.VALUES)
                           & self.i_source_there),
        ]
        with m.If(self._valid & (self._goes | multiplies) & ~bits[4]):
            with m.Switch(bits[:3]):
                with m.Case(Op.LOAD):
                    m.d.sync += accumulator.eq(operand)
                with m.Case(Op.AND):
                    m.d.sync += accumulator.eq(accumulator & operand)
                with m.Default():
                    m.d.sync += [
                        accumulator.eq(result),
                        self._carry.eq(result[-1] ^ subtracts | lost | (self._carry & (step != 0))),
                    ]
        with m.If(self._is(Op.MULTIPLY)):
            m.d.sync += [factor.eq(factor << 1), step.eq(step + 1)]
        with m.If(self._is(Op.FACTOR)):
            m.d.sync += factor.eq(accumulator)

    def _jump(self, m: Module, jumps: Signal, target: Signal, place: Signal) -> None:
        back, requested, waits, traps = Signal(PLACE_BITS), Signal(), Signal(), Signal()
        m.d.comb += [
            requested.eq(self.i_requests.any()),
            # A burst that is on offer stays so.
            traps.eq(self.i_trap & ~self._trapped & ~self.i_offered),
            waits.eq((self._is(Op.SERVE) & ~requested)
                     | (self._is(Op.LOAD_FROM) & (self._argument[:3] == Source.VALUES)
                        & ~self.i_source_there)
                     | self._multiplies_on
                     | (self._is(Op.READ) & ~self.i_read_ready) | (self._is(Op.WRITE) & ~self.i_write_ready)),
            self._goes.eq(~waits | traps),
            jumps.eq(traps | self._is(Op.JUMP) | self._is(Op.CALL) | self._is(Op.RETURN)
                     | self._is(Op.SERVE)
                     | (self._is(Op.JUMP_ZERO) & ~self.o_nonzero)
                     | (self._is(Op.JUMP_NONZERO) & self.o_nonzero)
                     | (self._is(Op.JUMP_CARRY) & self._carry)
                     | (self._is(Op.JUMP_SPLIT) & self._split)),
            target.eq(self._argument),
            self.o_moves.eq(self._valid & (self._goes | self._multiplies_on)),
        ]
        with m.If(self._op == Op.RETURN):
            m.d.comb += target.eq(back)
        with m.If(self._op == Op.SERVE):
            for number in reversed(range(len(self.i_requests))):
                with m.If(self.i_requests[number]):
                    m.d.comb += target.eq(number << 4)
        with m.If(traps):
            m.d.comb += target.eq(self._program.trap)
            m.d.sync += self._trapped.eq(1)
        # What is being decoded has been fetched, and is what comes behind a call.
        with m.If(self._is(Op.CALL)):
            m.d.sync += back.eq(place)

    def _act(self, m: Module, write) -> None:
        accumulator, argument = self.o_accumulator, self._argument
        limit = Signal(_BURST_BITS, init=(1 << _BURST_BITS) - 1)
        reads, writes, within = Signal(), Signal(), Signal(_BURST_BITS)
        m.d.comb += [
            reads.eq(self._is(Op.READ)), writes.eq(self._is(Op.WRITE)),
            self.o_read.eq(reads), self.o_write.eq(writes),
            self.o_stream.eq(argument[:3]),
            self.o_looks.eq(argument[3]),
            # Up to the end of the piece of 16 beats.
            within.eq(~accumulator[2:2 + _BURST_BITS]),
            self.o_beats.eq(Mux(limit < within, limit, within)),
            self.o_want.eq(self._is(Op.WANT)),
            write.data.eq(accumulator),
            write.addr.eq(argument[:7]),
            write.en.eq(self._is(Op.STORE) | reads | writes),
        ]
        with m.If(reads | writes):
            m.d.comb += write.addr.eq(Cat(self.o_stream, self.i_slot, _LOG))
        with m.If(self._is(Op.LIMIT)):
            m.d.sync += limit.eq(Mux(accumulator[2 + _BURST_BITS:].any(), (1 << _BURST_BITS) - 1,
                                     accumulator[2:2 + _BURST_BITS] - 1))
        with m.If((reads & self.i_read_ready) | (writes & self.i_write_ready)):
            m.d.sync += [self.o_last_bytes.eq((self.o_beats + 1) << 2), self._split.eq(limit > within)]
        for register in Register:
            m.d.comb += self.o_set[register].eq(self._is(Op.SET) & (argument[:4] == register))
        for event in Event:
            m.d.comb += self.o_event[event].eq(self._is(Op.EVENT) & (argument[:3] == event))
