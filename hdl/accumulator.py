"""One lane's sums: two banks of words, in which rows of C wait until they are drained."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .adders import ChoiceSubtractor
from .attributes import KEPT_COPY
from .config import ACC_BITS, Config

__all__ = ["BANKS", "PRODUCT_LAG_CYCLES", "WRITE_LATENCY_CYCLES", "Accumulator", "BankAccess", "BankPlace",
           "BankWords", "Sum"]

BANKS = 2
ONES = (1 << ACC_BITS) - 1
PRODUCT_LAG_CYCLES = 2
"""`i_product` comes so many cycles after its `i_add`."""
WRITE_LATENCY_CYCLES = 3
"""An `i_drain` so many cycles after an `i_add` finds its product in the sum."""


def BankAccess(config: Config) -> data.StructLayout:
    """A word of a bank; nothing happens without `valid`."""
    return data.StructLayout({"valid": 1, "bank": 1, "word": config.acc_word_bits})


def BankPlace(config: Config) -> data.StructLayout:
    """Where sums are; as a number, the bank is its lowest bit."""
    return data.StructLayout({"bank": 1, "word": config.acc_word_bits})


def BankWords(config: Config) -> data.ArrayLayout:
    """For each bank, a bit for each of its words."""
    return data.ArrayLayout(config.acc_words, BANKS)


def Sum() -> data.StructLayout:
    """A sum; not `valid` means that nothing was added, which is not the same as zero."""
    return data.StructLayout({"data": signed(ACC_BITS), "valid": 1})


class Accumulator(wiring.Component):
    """Adds products to words of two banks; reads and clears words of the bank that adds nothing.

    Throughput: one product a cycle, to any words in any order, and one drained word a cycle.
    Latency: a product is in its word `WRITE_LATENCY_CYCLES` after its `i_add`; `o` comes the cycle after
        `i_drain`. A drained word is clear for an `i_add` of the next cycle.
    Backpressure: none; `o` stays until the next `i_drain`.
    Overflow: sums wrap; `o_overflow` says so.

    What is added comes to its bank one cycle after `i_add`, what is drained in the cycle of `i_drain`; there
    they must not meet in one bank, but for a sum that the adder keeps. Two stages: read, then add and write.
    A read that comes a cycle too early for a sum gets it from the register behind the adder.

    With `lean_drain` both banks are one memory: what is drained must not meet what is added in either.

    The banks hold the complements of sums. What is not chosen is all ones, as is the complement of a sum that
    is absent: then an and of registers chooses, no multiplexer, and carry cells can do it on the way.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_add : BankAccess
    i_keeps : what comes to its bank now has its sum in the adder, and so will what comes in the next cycle:
        the bank is neither read nor written
    i_product : signed, two cycles after its `i_add`
    i_drain : BankAccess, of a word whose sum is there; not the same in two cycles running
    o : Sum; its data means nothing where it is not valid
    o_overflow : the sum of the `i_add` three cycles ago wrapped
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_add": In(BankAccess(config)),
            "i_keeps": In(1),
            "i_product": In(signed(config.product_bits)),
            "i_drain": In(BankAccess(config)),
            "o": Out(Sum()),
            "o_overflow": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.subtractor = subtractor = ChoiceSubtractor(ACC_BITS)
        # Of each lane its own, near to its banks: much of it is the same in all.
        self._add = Signal(BankAccess(self._config), attrs=KEPT_COPY)
        self._passes = Signal()
        total = subtractor.o

        # ---- what comes to its bank next; it may be the word whose sum is made then ----
        m.d.sync += [
            self._add.eq(self.i_add),
            self._passes.eq(self.i_add.valid & (self.i_add.as_value() == self._add.as_value())),
        ]

        # ---- read: from the banks, or what the adder makes now ----
        banks = [self._bank(m, bank, total) for bank in range(1 if self._config.lean_drain else BANKS)]
        passed = _chosen("passed")
        m.d.sync += passed.eq(Mux(self._passes, total, ONES))
        self._drain(m, banks)

        # ---- add and write ----
        m.d.comb += [
            subtractor.i_choices[0].eq(passed),
            *(choice.eq(banks[number].to_add if number < len(banks) else ONES)
              for number, choice in enumerate(list(subtractor.i_choices)[1:])),
            subtractor.i_less.eq(self.i_product),
        ]

        # ---- overflow, a cycle later: the loop through the adder is long enough ----
        added, may_wrap, sign, new_sign = Signal(), Signal(), Signal(), Signal()
        old_top = Cat(choice[-1] for choice in subtractor.i_choices).all()   # of a complement
        m.d.sync += [
            added.eq(self._add.valid),
            may_wrap.eq(added & (old_top != self.i_product[-1])),
            sign.eq(self.i_product[-1]),
            new_sign.eq(~total[-1]),
        ]
        m.d.comb += self.o_overflow.eq(may_wrap & (new_sign != sign))
        return m

    def _drain(self, m: Module, banks: "list[_Bank]") -> None:
        """What is read stays. Each bank has a register, of which the other one is set: the multiplexer that
        follows in a PE puts them together. With `csr_out`, where chains have registers, it is one."""
        drain = self.i_drain
        if len(banks) == 1:
            shown = _chosen("shown")
            with m.If(drain.valid):
                m.d.sync += [self.o.valid.eq(banks[0].present), shown.eq(banks[0].stored)]
            m.d.comb += self.o.data.eq(~shown)
            return
        with m.If(drain.valid):
            m.d.sync += self.o.valid.eq(Mux(drain.bank, banks[1].present, banks[0].present))
        if self._config.csr_out:
            with m.If(drain.valid):
                m.d.sync += self.o.data.eq(~Mux(drain.bank, banks[1].stored, banks[0].stored))
            return
        shown_of = [_chosen(f"shown{number}") for number in range(BANKS)]
        for number, (register, bank) in enumerate(zip(shown_of, banks, strict=True)):
            with m.If(drain.valid):
                m.d.sync += register.eq(Mux(drain.bank == number, bank.stored, ONES))
        m.d.comb += self.o.data.eq(~(shown_of[0] & shown_of[1]))

    def _bank(self, m: Module, bank: int, total: Signal) -> "_Bank":
        config, drain = self._config, self.i_drain
        if config.lean_drain:
            words, add_word, drain_word = BANKS * config.acc_words, _place(self._add), _place(drain)
            add_valid, drain_valid = self._add.valid, drain.valid
        else:
            words, add_word, drain_word = config.acc_words, self._add.word, drain.word
            add_valid = self._add.valid & (self._add.bank == bank)
            drain_valid = drain.valid & (drain.bank == bank)
        memory = Memory(shape=ACC_BITS + 1, depth=words, init=[])
        m.submodules[f"bank{bank}"] = memory
        write, read = memory.write_port(), memory.read_port(domain="comb")
        adds, uses = Signal(name=f"adds{bank}"), Signal(name=f"uses{bank}")      # read
        sums, writes = Signal(name=f"sums{bank}"), Signal(name=f"writes{bank}")  # written
        place = Signal(range(words), name=f"place{bank}")   # what is written
        to_add = _chosen(f"to_add{bank}")
        stored, present = read.data[:ACC_BITS], read.data[ACC_BITS]
        m.d.comb += [
            adds.eq(add_valid),
            uses.eq(adds & ~self.i_keeps),
            read.addr.eq(Mux(uses, add_word, drain_word)),
            write.addr.eq(place),
            write.en.eq(writes),
            write.data.eq(Cat(total, sums)),
        ]
        m.d.sync += [
            # The word that is written in this cycle is read in it: what is stored is too old.
            to_add.eq(Mux(adds & present & ~self._passes, stored, ONES)),
            sums.eq(uses),
            place.eq(read.addr),
            writes.eq(uses | drain_valid),
        ]
        return _Bank(to_add, stored, present)


@dataclass(frozen=True)
class _Bank:
    """What a bank contributes."""

    to_add: Signal          # all ones unless chosen
    stored: Value           # the word that is read, a complement
    present: Value          # something was added to it


def _place(access: data.View) -> Value:
    """As a number."""
    return Cat(access.bank, access.word)


def _chosen(name: str) -> Signal:
    """A register that is set where it is not chosen, and by the reset."""
    return Signal(ACC_BITS, name=name, init=ONES)
