"""Which rows of B have anything in a PE's packed tile, and where these are in its table."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .config import Config, log2_exact
from .pe_front import PeOp

__all__ = ["FLAGS", "RowEnd", "RowIndex"]

FLAGS = 16
"""Rows that a word of the index tells about; flags and a table row fit the 36 bits of a block RAM's word."""


def RowEnd(config: Config) -> data.StructLayout:
    """A row of B that has been packed.

    Attributes
    ----------
    row : the PE's own row, as tokens name it; in the upper half of the index for the tile memory's half 1
    filled : it has an entry in this PE, and a place in the table
    table_row : that place; where it is not filled, the next row's that is
    """
    return data.StructLayout({
        "row": config.index_address_bits,
        "filled": 1,
        "table_row": config.table_address_bits,
    })


class RowIndex(wiring.Component):
    """Turns tokens' rows of B into rows of the packed table, which only rows with an entry here take.

    Throughput: one op and one row end a cycle.
    Latency: 3 cycles from `i` to `o`; a row end counts from the cycle behind it on.
    Backpressure: `i` waits while `o` does and three ops are on their way.
    Order: kept. Of a token whose row has nothing here the closes around it stay, and the op goes where there
        are none.

    A word of the index holds a bit for each of FLAGS rows, and the table row of the first of them that has an
    entry; the bits below a row's own tell how far behind that its table row is. So a table has room
    for the rows that have entries, however many are between them.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_end : stream of RowEnd, always taken; the rows of a tile in order, from 0 on
    i_packed, i_half : of the running job
    i : stream of PeOp
    o : stream of PeOp; of a packed tile with `address` in the table
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_end": In(stream.Signature(RowEnd(config), always_ready=True)),
            "i_packed": In(1),
            "i_half": In(1),
            "i": In(stream.Signature(PeOp(config))),
            "o": Out(stream.Signature(PeOp(config))),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        self._flag_bits = log2_exact(FLAGS)
        self._word = data.StructLayout({"flags": FLAGS, "table_row": config.table_address_bits})
        m.submodules.words = memory = Memory(shape=self._word, depth=config.index_rows // FLAGS, init=[])
        self._write(m, memory.write_port())
        self._read(m, memory.read_port())
        return m

    def _write(self, m: Module, port) -> None:
        """A word is written again with each of its rows."""
        end, word = self.i_end.p, Signal(self._word)
        place = end.row[:self._flag_bits]
        m.d.comb += [
            port.addr.eq(end.row >> self._flag_bits),
            port.data.flags.eq(Mux(place == 0, 0, word.flags) | (end.filled << place)),
            port.data.table_row.eq(Mux(place == 0, end.table_row, word.table_row)),
            port.en.eq(self.i_end.valid),
        ]
        with m.If(self.i_end.valid):
            m.d.sync += word.eq(port.data)

    def _read(self, m: Module, port) -> None:
        config, op = self._config, PeOp(self._config)
        valid, ops = Signal(2), [Signal(op, name=f"op{stage}") for stage in range(2)]
        enters = Signal(3)
        m.d.comb += [
            enters[0].eq(~valid[0] | enters[1]),
            enters[1].eq(~valid[1] | enters[2]),
            enters[2].eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(enters[0]),
        ]

        # ---- stage 1: the word is read ----
        address = Signal(config.index_address_bits)
        m.d.comb += [
            address.eq(self.i.p.address | (self.i_half << (config.index_address_bits - 1))),
            port.addr.eq(address >> self._flag_bits),
            port.en.eq(enters[0] & self.i.valid & self.i.p.token & self.i_packed),
        ]
        with m.If(enters[0]):
            m.d.sync += [valid[0].eq(self.i.valid), ops[0].eq(self.i.p)]

        # ---- stage 2: the row's bit, and those below it ----
        place, below, filled = ops[0].address[:self._flag_bits], Signal(FLAGS - 1), Signal()
        first = Signal(config.table_address_bits)
        with m.If(enters[1]):
            m.d.sync += [
                valid[1].eq(valid[0]),
                ops[1].eq(ops[0]),
                first.eq(port.data.table_row),
                filled.eq(port.data.flags.bit_select(place, 1)),
                *(below[flag].eq(port.data.flags[flag] & (flag < place)) for flag in range(FLAGS - 1)),
            ]

        # ---- stage 3: the table row, or nothing ----
        absent, idle = Signal(), Signal()
        m.d.comb += [
            absent.eq(self.i_packed & ops[1].token & ~filled),
            idle.eq(absent & (ops[1].before == 0) & (ops[1].after == 0) & ~ops[1].last),
        ]
        with m.If(enters[2]):
            m.d.sync += [self.o.valid.eq(valid[1] & ~idle), self.o.p.eq(ops[1])]
            with m.If(absent):
                m.d.sync += self.o.p.token.eq(0)
            with m.If(self.i_packed):
                m.d.sync += self.o.p.address.eq(first + sum(below))
