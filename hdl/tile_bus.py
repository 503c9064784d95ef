"""The tile bus: every PE hears every beat of the tile loader, its data already where a store wants it."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .attributes import KEPT_COPY
from .config import Config
from .layouts import PeTileBeat, TileBeat, TileBeatKind

__all__ = ["TileBus"]


class TileBus(wiring.Component):
    """Brings tile beats to all PEs: what they decide by in one cycle, the data in the next.

    Throughput: one beat a cycle.
    Latency: one cycle, data two.
    Backpressure: none.
    Order: kept.

    A store word has two halves, and a beat of two words brings one for each: the words are exchanged here,
    once, where a PE's half wants the other one. Which half holds a dense word is for a PE to choose, if it
    reads as it writes; see `PeTileBeat`.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : stream of TileBeat, always taken
    o : P streams of PeTileBeat, always taken
    o_data : for each PE, the data of the beat that it heard a cycle ago
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i": In(stream.Signature(TileBeat(config), always_ready=True)),
            "o": Out(stream.Signature(PeTileBeat(config), always_ready=True)).array(config.pes),
            "o_data": Out(TileBeat(config)["data"].shape).array(config.pes),
        })

    def elaborate(self, platform):
        m = Module()
        config, beat = self._config, self.i.p
        data, swap, dense = Signal.like(beat.data), Signal(), Signal()
        dense_kinds = [TileBeatKind.WORDS, TileBeatKind.PARTS, *([TileBeatKind.ROWS] if config.sddmm else [])]
        m.d.comb += dense.eq(Cat(beat.kind == kind for kind in dense_kinds).any())
        if config.words_per_beat == 2:
            m.d.comb += swap.eq(dense & self._swap(m))
        m.d.sync += data.eq(beat.data)

        # ---- a cycle later: the words in order, in both halves where there is only one ----
        word_bits = 8 * config.lanes
        late_swap, late_dense = Signal(), Signal()
        words = Signal.like(data)
        m.d.sync += [late_swap.eq(swap), late_dense.eq(dense)]
        first, second = data[:word_bits], data[word_bits:]
        m.d.comb += words.eq(data)
        if config.words_per_beat == 2:
            m.d.comb += words.eq(Mux(late_swap, Cat(second, first), data))
        elif len(data) > word_bits:
            m.d.comb += words.eq(Mux(late_dense, Cat(first, first), data))

        for group in config.listener_groups:
            start = group[0]
            valid = Signal(name=f"valid{start}", attrs=KEPT_COPY)
            copy = Signal(PeTileBeat(config), name=f"copy{start}", attrs=KEPT_COPY)
            copied_data = Signal.like(data, name=f"data{start}", attrs=KEPT_COPY)
            m.d.sync += [valid.eq(self.i.valid), copied_data.eq(words), copy.swap.eq(swap)]
            m.d.sync += [copy[name].eq(beat[name]) for name, _ in TileBeat(config) if name != "data"]
            for number in group:
                m.d.comb += [self.o[number].valid.eq(valid), self.o[number].p.eq(copy),
                             self.o_data[number].eq(copied_data)]
        return m

    def _swap(self, m: Module):
        """The beat's first word goes to the upper half: see `PeTileBeat` for which half a word belongs to."""
        config, beat = self._config, self.i.p
        parity = Cat(address[0] ^ number[0] for address, number in zip(beat.address, beat.slice, strict=True))
        by_words = Mux(beat.enable[0], parity[0], ~parity[1]) ^ beat.owner[0]
        # Rows of one beat differ in the low bits of k; k's bit above those that number a word's parts says
        # which word of the beat is theirs.
        group_log2 = Signal.like(beat.part_log2)
        m.d.comb += group_log2.eq(config.lane_bits - beat.part_log2)
        by_parts = beat.address[0][0] ^ (Cat(beat.fold, beat.above) >> group_log2)[0]
        return Mux(beat.kind == TileBeatKind.PARTS, by_parts, by_words)
