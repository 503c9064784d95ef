"""Remembers which words of the accumulators got a sum."""

from functools import reduce
from operator import or_

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .accumulator import BANKS, BankAccess, BankWords
from .config import Config

__all__ = ["TouchedWords"]


class TouchedWords(wiring.Component):
    """A bit for each word of both banks: some lane has added to it since it was cleared.

    Throughput: a word of every lane a cycle.
    Latency: two cycles from an access to its bit.
    Backpressure: none.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : for each lane, BankAccess
    i_clear, o : BankWords
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i": In(BankAccess(config)).array(config.lanes),
            "i_clear": In(BankWords(config)),
            "o": Out(BankWords(config)),
        })

    def elaborate(self, platform):
        m = Module()
        for bank in range(BANKS):
            added = Signal(self._config.acc_words, name=f"added{bank}")
            here = [access.valid & (access.bank == bank) for access in self.i]
            m.d.sync += [
                added.eq(reduce(or_, ((mine << access.word)[:len(added)]
                                      for mine, access in zip(here, self.i, strict=True)))),
                self.o[bank].eq((self.o[bank] | added) & ~self.i_clear[bank]),
            ]
        return m
