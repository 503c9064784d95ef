"""What goes wrong in the simulated memory: errors on chosen beats, channels that stop for good."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CHANNELS", "FAULT_SETTINGS", "FaultInjector", "MemoryFaults"]

CHANNELS = ("ar", "r", "aw", "w", "b")
_HIGHEST = (1 << 32) - 1

FAULT_SETTINGS = {
    "fault_armed": 1, "fault_reads": 1, "fault_writes": 1, "fault_frozen": len(CHANNELS),
    "fault_by_address": 1, "fault_first": 32, "fault_last": 32,
}
"""Inputs of FaultInjector that the host sets, and their bits."""


@dataclass(frozen=True)
class MemoryFaults:
    """What goes wrong from now on.

    Attributes
    ----------
    read_errors, write_errors : answer beats (bursts that hold such a beat) with SLVERR; such a beat is not
        written
    frozen : of CHANNELS, those that move no more
    by_address : errors by byte address; otherwise by the number of the beat, reads and writes counted apart
    first, last : addresses, or numbers since these faults were set, of the beats with an error; channels
        freeze when so many handovers have taken place on all channels together as `first` says
    """

    read_errors: bool = False
    write_errors: bool = False
    frozen: tuple[str, ...] = ()
    by_address: bool = False
    first: int = 0
    last: int = _HIGHEST

    def settings(self, port_bytes: int) -> dict[str, int]:
        """Values of FAULT_SETTINGS; ValueError for an unknown channel or a number out of range."""
        unknown = set(self.frozen) - set(CHANNELS)
        if unknown:
            raise ValueError(f"frozen = {self.frozen}; channels are {', '.join(CHANNELS)}")
        if not 0 <= self.first <= self.last <= _HIGHEST:
            raise ValueError(f"first, last = {self.first}, {self.last}; they must be from 0 to {_HIGHEST}, "
                             "in this order")
        unit = port_bytes if self.by_address else 1
        return {
            "fault_armed": 1, "fault_reads": int(self.read_errors), "fault_writes": int(self.write_errors),
            "fault_frozen": sum(1 << CHANNELS.index(name) for name in self.frozen),
            "fault_by_address": int(self.by_address),
            "fault_first": self.first // unit, "fault_last": self.last // unit,
        }


class FaultInjector(wiring.Component):
    """Decides beat by beat whether it has an error, and which channels stand still.

    Throughput: a beat read and one written a cycle.
    Latency: none.
    Backpressure: none.
    Order: beats are counted as they come.

    Members
    -------
    fault_armed : counts and faults; without it all counts are zero
    fault_reads, fault_writes, fault_by_address, fault_frozen : as in `MemoryFaults`; one bit a channel
    fault_first, fault_last : beats, by number or as word addresses
    i_moves : one bit a channel, a handover
    i_read, i_read_word, i_write, i_write_word : a beat is read, written, and its word address
    o_read_error, o_write_error : that beat has an error
    o_frozen : one bit a channel
    """

    def __init__(self) -> None:
        super().__init__({
            **{name: In(bits) for name, bits in FAULT_SETTINGS.items()},
            "i_moves": In(len(CHANNELS)),
            "i_read": In(1), "i_read_word": In(32), "i_write": In(1), "i_write_word": In(32),
            "o_read_error": Out(1), "o_write_error": Out(1), "o_frozen": Out(len(CHANNELS)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        moved = Signal(32)
        m.d.comb += self.o_frozen.eq(
            (self.fault_armed & (moved >= self.fault_first)).replicate(len(CHANNELS)) & self.fault_frozen)
        m.d.sync += moved.eq(moved + sum(Cat(bit) for bit in self.i_moves))
        for moves, word, wanted, error, name in (
                (self.i_read, self.i_read_word, self.fault_reads, self.o_read_error, "reads"),
                (self.i_write, self.i_write_word, self.fault_writes, self.o_write_error, "writes")):
            number, place = Signal(32, name=f"{name}_number"), Signal(32, name=f"{name}_place")
            m.d.comb += place.eq(number)
            with m.If(self.fault_by_address):
                m.d.comb += place.eq(word)
            m.d.comb += error.eq(self.fault_armed & wanted & (place >= self.fault_first)
                                 & (place <= self.fault_last))
            with m.If(~self.fault_armed):
                m.d.sync += number.eq(0)
            with m.Elif(moves):
                m.d.sync += number.eq(number + 1)
        with m.If(~self.fault_armed):
            m.d.sync += moved.eq(0)
        return m
