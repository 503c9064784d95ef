"""The collector's way to a result in CSR, behind the finisher: entries, row pointers, and who writes them."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .collector_layouts import CollectorPlan, DenseWord, EntryTag
from .config import ADDRESS_BITS, Config
from .csr_spool import CsrSpool
from .layouts import Chunk, CsrFull, CsrPlace, WriteChunk, WriteJob
from .pair_packer import PairPacker
from .row_numbers import RowNumbers
from .row_totals import RowTotals

__all__ = ["CsrOut"]


class CsrOut(wiring.Component):
    """Packer, what rows had and have, and spool; connections only.

    Throughput, Latency: those of its parts.
    Backpressure: from the writer to `i`, `i_tag` and `i_earlier`.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_plan, i_place : CollectorPlan and CsrPlace, constant while the job runs
    i_address : of the values
    i_start : 1, pulse before the job's first word
    i : stream of DenseWord; i_tag : stream of EntryTag, one for each word
    i_earlier : stream of Chunk of W bytes, earlier numbers of rows where the plan has them
    o_write_job : stream of WriteJob
    o : stream of WriteChunk; the one with `last` is the job's last
    o_full : CsrFull
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_plan": In(CollectorPlan(config)),
            "i_place": In(CsrPlace()),
            "i_address": In(ADDRESS_BITS),
            "i_start": In(1),
            "i": In(stream.Signature(DenseWord(config))),
            "i_tag": In(stream.Signature(EntryTag(config))),
            "i_earlier": In(stream.Signature(Chunk(config.port_bytes))),
            "o_write_job": Out(stream.Signature(WriteJob(config))),
            "o": Out(stream.Signature(WriteChunk(config))),
            "o_full": Out(CsrFull()),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.packer = packer = PairPacker(self._config)
        m.submodules.numbers = numbers = RowNumbers(self._config)
        m.submodules.totals = totals = RowTotals(self._config)
        m.submodules.spool = spool = CsrSpool(self._config)
        connect(m, flipped(self.i), packer.i)
        connect(m, flipped(self.i_tag), packer.i_tag)
        connect(m, flipped(self.i_earlier), numbers.i)
        connect(m, numbers.o, packer.i_number)
        connect(m, packer.o, spool.i)
        connect(m, packer.o_rows, totals.i)
        connect(m, totals.o, spool.i_pointers)
        connect(m, spool.o_write_job, flipped(self.o_write_job))
        connect(m, spool.o, flipped(self.o))
        for block in (packer, numbers, totals, spool):
            m.d.comb += [block.i_place.eq(self.i_place), block.i_start.eq(self.i_start)]
        for block in (packer, numbers, spool):
            m.d.comb += block.i_plan.eq(self.i_plan)
        m.d.comb += [spool.i_address.eq(self.i_address), spool.i_ended.eq(packer.o_ended & totals.o_ended),
                     self.o_full.eq(totals.o_full)]
        return m
