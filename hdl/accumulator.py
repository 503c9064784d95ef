"""One lane's sums: two banks, one adds while the other drains."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .adders import ChoiceSubtractor
from .config import ACC_BITS, Config
from .lane import PRODUCT_BITS

__all__ = ["DRAIN_LATENCY_CYCLES", "PRODUCT_LAG_CYCLES", "Accumulator", "BankAccess", "Sum"]

BANKS = 2
ONES = (1 << ACC_BITS) - 1
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
    """What a pipeline stage does to its bank: add to a word, or drain and clear it."""
    return data.StructLayout({"adds": 1, "drains": 1, "word": config.acc_word_bits})


class Accumulator(wiring.Component):
    """Adds products to words of one bank, reads and clears words of the other.

    Throughput: one product and one drained word a cycle, to any words in any order.
    Latency: a drained word comes 2 cycles after `i_drain`; it holds all that was added by `i_add` before
        `i_drain`, and later additions find the word cleared.
    Backpressure: none.
    Overflow: sums wrap; `o_overflow` says so.

    In one cycle the two accesses are to different banks. Two stages: read, then add and write. A read that
    comes one cycle too early for a sum gets it from the register behind the adder.

    The banks hold the complements of sums. What is not chosen is all ones, as is the complement of a sum that
    is absent: then an and of registers chooses, no multiplexer, and carry cells can do it on the way.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_add : BankAccess
    i_product : signed, two cycles after its `i_add`
    i_drain : BankAccess
    o : Sum, two cycles after its `i_drain`, zero where not valid; behind a gate, not a register
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
        m.submodules.subtractor = subtractor = ChoiceSubtractor(ACC_BITS)
        sources = [self._bank(m, bank, subtractor.o) for bank in range(BANKS)]

        # ---- read: from the bank that adds and from the one that drains, or what the adder makes now ----
        passed_add, passed_drain = _chosen("passed_add"), _chosen("passed_drain")
        drained_valid = Signal()
        passes_add = Cat(source.passes_add for source in sources).any()
        passes_drain = Cat(source.passes_drain for source in sources).any()
        m.d.sync += [
            passed_add.eq(Mux(passes_add, subtractor.o, ONES)),
            passed_drain.eq(Mux(passes_drain, subtractor.o, ONES)),
            drained_valid.eq(Cat(source.drains_sum for source in sources).any()),
        ]

        # ---- add and write ----
        m.d.comb += [
            subtractor.i_choices[0].eq(passed_add),
            *(subtractor.i_choices[1 + bank].eq(source.to_add) for bank, source in enumerate(sources)),
            subtractor.i_less.eq(self.i_product),
            self.o.data.eq(~(passed_drain & sources[0].to_drain & sources[1].to_drain)),
            self.o.valid.eq(drained_valid),
        ]

        # ---- overflow, a cycle later: the loop through the adder is long enough ----
        may_wrap, sign, new_sign = Signal(), Signal(), Signal()
        old_top = Cat(choice[-1] for choice in subtractor.i_choices).all()   # of a complement
        m.d.sync += [
            may_wrap.eq(Cat(source.adds for source in sources).any() & (old_top != self.i_product[-1])),
            sign.eq(self.i_product[-1]),
            new_sign.eq(~subtractor.o[-1]),
        ]
        m.d.comb += self.o_overflow.eq(may_wrap & (new_sign != sign))
        return m

    def _bank(self, m: Module, bank: int, total: Signal) -> "_Source":
        config = self._config
        memory = Memory(shape=ACC_BITS + 1, depth=config.acc_words, init=[])
        m.submodules[f"bank{bank}"] = memory
        write, read = memory.write_port(), memory.read_port(domain="comb")
        reads, writes = (Signal(_Step(config), name=f"{stage}{bank}") for stage in ("reads", "writes"))
        adds, drains, present, passed = (Signal(name=f"{name}{bank}")
                                         for name in ("adds", "drains", "present", "passed"))
        to_add, to_drain = _chosen(f"to_add{bank}"), _chosen(f"to_drain{bank}")
        passes_add, passes_drain, drains_sum = (
            Signal(name=f"{name}{bank}") for name in ("passes_add", "passes_drain", "drains_sum"))
        m.d.comb += [
            adds.eq(self.i_add.valid & (self.i_add.bank == bank)),
            drains.eq(self.i_drain.valid & (self.i_drain.bank == bank)),
        ]
        m.d.sync += [
            reads.adds.eq(adds),
            reads.drains.eq(drains),
            reads.word.eq(Mux(adds, self.i_add.word, self.i_drain.word)),
            writes.eq(reads),
        ]
        m.d.comb += [
            read.addr.eq(reads.word),
            write.addr.eq(writes.word),
            write.en.eq(writes.adds | writes.drains),
            write.data.eq(Cat(total, writes.adds)),
            # The word that is written in this cycle is read in it: what is stored is too old.
            passed.eq(write.en & (writes.word == reads.word)),
            present.eq(read.data[ACC_BITS] & ~passed),
            passes_add.eq(reads.adds & passed & writes.adds),
            passes_drain.eq(reads.drains & passed & writes.adds),
            drains_sum.eq(reads.drains & (present | (passed & writes.adds))),
        ]
        m.d.sync += [
            to_add.eq(Mux(reads.adds & present, read.data[:ACC_BITS], ONES)),
            to_drain.eq(Mux(reads.drains & present, read.data[:ACC_BITS], ONES)),
        ]
        return _Source(to_add, to_drain, passes_add, passes_drain, drains_sum, writes.adds)


@dataclass(frozen=True)
class _Source:
    """What a bank contributes: registers that are all ones unless chosen, and what it wants of the adder."""

    to_add: Signal
    to_drain: Signal
    passes_add: Signal
    passes_drain: Signal
    drains_sum: Signal
    adds: Value             # it gets a sum


def _chosen(name: str) -> Signal:
    """A register that is set where it is not chosen; no other reset, since a flip-flop has one."""
    return Signal(ACC_BITS, name=name, init=ONES, reset_less=True)
