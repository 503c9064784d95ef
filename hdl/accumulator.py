"""One lane's sums: two banks, one adds while the other drains."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .config import ACC_BITS, Config
from .lane import PRODUCT_BITS

__all__ = ["DRAIN_LATENCY_CYCLES", "PRODUCT_LAG_CYCLES", "Accumulator", "BankAccess", "Sum"]

BANKS = 2
PRODUCT_LAG_CYCLES = 2
"""`i_product` comes so many cycles after its `i_add`."""
DRAIN_LATENCY_CYCLES = 2
"""`o` comes so many cycles after its `i_drain`."""


def BankAccess(config: Config) -> data.StructLayout:
    """A word of a bank; nothing happens without `valid`."""
    return data.StructLayout({"valid": 1, "bank": 1, "word": config.acc_word_bits})


def Sum() -> data.StructLayout:
    """A sum; not `valid` means that nothing was added, which is not the same as zero."""
    return data.StructLayout({"data": signed(ACC_BITS), "valid": 1})


def _Step(config: Config) -> data.StructLayout:
    """What a pipeline stage does to its bank: add to a word, or clear it."""
    return data.StructLayout({"valid": 1, "adds": 1, "word": config.acc_word_bits})


class Accumulator(wiring.Component):
    """Adds products to words of one bank, reads and clears words of the other.

    Throughput: one product and one drained word a cycle, to any words in any order.
    Latency: a drained word comes 2 cycles after `i_drain`; it holds all that was added by `i_add` before
        `i_drain`, and later additions find the word cleared.
    Backpressure: none.
    Overflow: sums wrap; `o_overflow` says so.

    In one cycle the two accesses are to different banks. Two stages: read, then add and write. A read that
    comes one cycle too early for a sum gets it from the register behind the adder.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_add : BankAccess
    i_product : signed, two cycles after its `i_add`
    i_drain : BankAccess
    o : Sum, two cycles after its `i_drain`; behind a multiplexer, not a register
    o_overflow : the sum of the `i_add` three cycles ago wrapped
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_add": In(BankAccess(config)),
            "i_product": In(signed(PRODUCT_BITS)),
            "i_drain": In(BankAccess(config)),
            "o": Out(Sum()),
            "o_overflow": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        total = Signal(signed(ACC_BITS))
        past_total = Signal(signed(ACC_BITS))
        stored = [Signal(Sum(), name=f"stored{bank}") for bank in range(BANKS)]
        passed = [Signal(name=f"passed{bank}") for bank in range(BANKS)]        # one cycle ago: same word
        passed_adds = [Signal(name=f"passed_adds{bank}") for bank in range(BANKS)]
        adds = Signal(BANKS)   # the bank gets a sum
        for bank in range(BANKS):
            self._bank(m, bank, total, stored[bank], passed[bank], passed_adds[bank], adds[bank])

        # ---- read: one access of each kind ----
        add_bank, drain_bank = Signal(), Signal()
        read, drained = Signal(Sum()), Signal(Sum())
        read_passed, read_passed_adds, drained_passed = Signal(), Signal(), Signal()
        m.d.sync += [
            add_bank.eq(self.i_add.bank),
            drain_bank.eq(self.i_drain.bank),
            read.eq(Mux(add_bank, stored[1], stored[0])),
            read_passed.eq(Mux(add_bank, passed[1], passed[0])),
            read_passed_adds.eq(Mux(add_bank, passed_adds[1], passed_adds[0])),
            drained.eq(Mux(drain_bank, stored[1], stored[0])),
            drained_passed.eq(Mux(drain_bank, passed[1], passed[0])),
        ]

        # ---- add and write ----
        term = Signal(signed(ACC_BITS))
        with m.If(Mux(read_passed, read_passed_adds, read.valid)):
            m.d.comb += term.eq(Mux(read_passed, past_total, read.data))
        m.d.sync += past_total.eq(total)
        m.d.comb += [
            total.eq(term + self.i_product),
            # Two drains of one bank are never neighbours: what was passed on is a sum.
            self.o.data.eq(Mux(drained_passed, past_total, drained.data)),
            self.o.valid.eq(drained_passed | drained.valid),
        ]

        # ---- overflow, a cycle later: the loop through the adder is long enough ----
        may_wrap, sign = Signal(), Signal()
        m.d.sync += [
            may_wrap.eq(adds.any() & (term[-1] == self.i_product[-1])),
            sign.eq(term[-1]),
        ]
        m.d.comb += self.o_overflow.eq(may_wrap & (past_total[-1] != sign))
        return m

    def _bank(self, m: Module, bank: int, total: Signal, stored, passed: Signal, passed_adds: Signal,
              adds: Signal) -> None:
        config = self._config
        memory = Memory(shape=ACC_BITS + 1, depth=config.acc_words, init=[])
        m.submodules[f"bank{bank}"] = memory
        write, read = memory.write_port(), memory.read_port(domain="comb")
        reads, writes = (Signal(_Step(config), name=f"{stage}{bank}") for stage in ("reads", "writes"))
        added = Signal(name=f"added{bank}")
        m.d.comb += added.eq(self.i_add.valid & (self.i_add.bank == bank))
        m.d.sync += [
            reads.valid.eq(added | (self.i_drain.valid & (self.i_drain.bank == bank))),
            reads.adds.eq(added),
            reads.word.eq(Mux(added, self.i_add.word, self.i_drain.word)),
            writes.eq(reads),
        ]
        m.d.comb += [
            read.addr.eq(reads.word),
            write.addr.eq(writes.word),
            write.en.eq(writes.valid),
            write.data.eq(Cat(total, writes.adds)),
            passed.eq(writes.valid & (writes.word == reads.word)),
            passed_adds.eq(writes.adds),
            stored.eq(read.data),
            adds.eq(writes.valid & writes.adds),
        ]
