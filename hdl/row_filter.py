"""Looks up which PEs have anything of a token's row of B, so that no other PE hears the token."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .config import Config, log2_exact
from .layouts import BusBeat, PeJob, TokenBeat

__all__ = ["TILE_LAG_CYCLES", "RowFilter", "RowPlace"]

TILE_LAG_CYCLES = 3
"""From a beat at the tile loader until every PE knows what it has of the row that ends with it."""


def RowPlace(config: Config) -> data.StructLayout:
    """Of a packed tile: its begin, or a row of B that ends.

    Attributes
    ----------
    start : the tile of this half begins; else a row ends
    half, whole : of the tile memory, or both
    row : k >> log2 P_k above the number of k's owner: different for each row of a tile
    """
    return data.StructLayout({"start": 1, "half": 1, "whole": 1, "row": config.index_bits})


class RowFilter(wiring.Component):
    """Names for each token of a packed tile the PEs that have an entry of its row of B; of another tile, all.

    Throughput: a beat takes as many cycles as tokens of it meet in a bank, k mod T: of T = 8 at random 2.6;
        one where the tile is not packed or has more rows than there are places.
    Latency: two cycles.
    Backpressure: all waits while `o` is stalled; `i` while `i_open` is low, and behind a `last` beat until it
        has been low.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_job : PeJob of the running job
    i_open : its tile is loaded and the array is free for it
    i_row : stream of RowPlace, always taken; of the tiles that are loaded
    i_filled : one bit a PE, TILE_LAG_CYCLES later: it has an entry of the row that ended then
    i : stream of TokenBeat
    o : stream of BusBeat
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_job": In(PeJob(config)),
            "i_open": In(1),
            "i_row": In(stream.Signature(RowPlace(config), always_ready=True)),
            "i_filled": In(config.pes),
            "i": In(stream.Signature(TokenBeat(config))),
            "o": Out(stream.Signature(BusBeat(config))),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        self._bank_bits = log2_exact(config.beat_tokens)
        memories = [Memory(shape=config.pes, depth=config.index_rows // config.beat_tokens, init=[])
                    for _ in range(config.beat_tokens)]
        for number, memory in enumerate(memories):
            m.submodules[f"bank{number}"] = memory
        self._crowded = Signal(2)          # for each half: a tile with rows that have no place
        self._write(m, [memory.write_port() for memory in memories])
        self._look_up(m, [memory.read_port() for memory in memories])
        return m

    def _write(self, m: Module, ports) -> None:
        """What the PEs say of a row, to its bank."""
        top = self._config.index_address_bits - 1
        valid, row = self.i_row.valid, self.i_row.p
        line = [Signal(RowPlace(self._config), name=f"row{cycle}") for cycle in range(TILE_LAG_CYCLES)]
        valids = Signal(TILE_LAG_CYCLES)
        m.d.sync += valids.eq(Cat(valid, valids[:-1]))
        for late, early in zip(line, [row, *line[:-1]], strict=True):
            m.d.sync += late.eq(early)
        ends, past, last = Signal(), Signal(), line[-1]
        m.d.comb += [
            ends.eq(valids[-1] & ~last.start),
            # It has no place: those are all there are, or the other half's tile's.
            past.eq((last.row >> (top + 1)).any() | (~last.whole & last.row[top])),
        ]
        place = Signal(top + 1)
        m.d.comb += place.eq(last.row | (last.half << top))
        for number, port in enumerate(ports):
            m.d.comb += [
                port.addr.eq(place >> self._bank_bits),
                port.data.eq(self.i_filled),
                port.en.eq(ends & ~past & (place[:self._bank_bits] == number)),
            ]
        with m.If(valids[-1] & last.start):
            m.d.sync += self._crowded.bit_select(last.half, 1).eq(0)
        with m.Elif(ends & past):
            m.d.sync += self._crowded.bit_select(last.half, 1).eq(1)

    def _look_up(self, m: Module, ports) -> None:
        config, tokens = self._config, self._config.beat_tokens
        advances, closed = Signal(), Signal()
        valid, beat = Signal(), Signal(TokenBeat(config))     # at the banks
        pending, chosen, done = Signal(tokens), Signal(tokens), Signal()
        filters = Signal()
        m.d.sync += filters.eq(self.i_job.packed & ~self._crowded.bit_select(self.i_job.half, 1))
        m.d.comb += [
            advances.eq(~self.o.valid | self.o.ready),
            done.eq((pending & ~chosen) == 0),
            self.i.ready.eq(advances & (~valid | done) & self.i_open & ~closed),
        ]

        # ---- stage 1: tokens go to the banks, one at a time to each ----
        places = []
        for number, token in enumerate(beat.tokens):
            place = Signal(config.index_address_bits, name=f"place{number}")
            m.d.comb += place.eq((token.address << self.i_job.pk_log2) | token.owner
                                 | (self.i_job.half << (config.index_address_bits - 1)))
            places.append(place)
        banks = [place[:self._bank_bits] for place in places]
        for number, bank in enumerate(banks):
            earlier = Cat(pending[other] & (banks[other] == bank) for other in range(number)).any()
            m.d.comb += chosen[number].eq(pending[number] & ~earlier)
        for bank, port in enumerate(ports):
            m.d.comb += port.en.eq(advances)
            address = 0
            for number, place in enumerate(places):
                goes = Signal(name=f"goes{number}_{bank}")
                m.d.comb += goes.eq(chosen[number] & (banks[number] == bank))
                address = address | Mux(goes, place >> self._bank_bits, 0)
            m.d.comb += port.addr.eq(address)
        with m.If(advances):
            m.d.sync += pending.eq(pending & ~chosen)
            with m.If(done):
                m.d.sync += [valid.eq(0), pending.eq(0)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [valid.eq(1), beat.eq(self.i.p), pending.eq(Mux(filters, self.i.p.mask, 0))]
        with m.If(~self.i_open):
            m.d.sync += closed.eq(0)
        with m.Elif(self.i.valid & self.i.ready & self.i.p.last):
            m.d.sync += closed.eq(1)

        # ---- stage 2: their answers, those that came before included ----
        out, late_chosen = self.o.p, Signal(tokens)
        late_banks = Signal(data.ArrayLayout(self._bank_bits, tokens))
        held = Signal(data.ArrayLayout(config.pes, tokens))
        found, answers = Signal.like(held), Array(port.data for port in ports)
        for number in range(tokens):
            m.d.comb += [
                found[number].eq(Mux(late_chosen[number], answers[late_banks[number]], held[number])),
                out.pes[number].eq(found[number] | (~filters).replicate(config.pes)),
            ]
        with m.If(advances):
            m.d.sync += [
                self.o.valid.eq(valid & done),
                *(out[name].eq(beat[name]) for name, _ in TokenBeat(config)),
                late_chosen.eq(chosen),
                late_banks.eq(Cat(banks)),
                held.eq(found),
            ]
