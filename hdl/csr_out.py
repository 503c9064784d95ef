"""The collector's way to a result in CSR, behind the finisher: entries, row pointers, and who writes them."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .collector_layouts import CollectorPlan, DenseWord, EntryTag
from .config import ADDRESS_BITS, Config
from .csr_spool import CsrSpool
from .layouts import Chunk, CsrFull, CsrPlace, WriteJob
from .pair_packer import PairPacker

__all__ = ["CsrOut"]


class CsrOut(wiring.Component):
    """Packer and spool; connections only.

    Throughput, Latency: those of its parts.
    Backpressure: from the writer to `i` and `i_tag`.
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
    o_write_job : stream of WriteJob
    o : stream of Chunk of W bytes; the one with `last` is the job's last
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
            "o_write_job": Out(stream.Signature(WriteJob(config))),
            "o": Out(stream.Signature(Chunk(config.port_bytes))),
            "o_full": Out(CsrFull()),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.packer = packer = PairPacker(self._config)
        m.submodules.spool = spool = CsrSpool(self._config)
        connect(m, flipped(self.i), packer.i)
        connect(m, flipped(self.i_tag), packer.i_tag)
        connect(m, packer.o, spool.i)
        connect(m, packer.o_pointers, spool.i_pointers)
        connect(m, spool.o_write_job, flipped(self.o_write_job))
        connect(m, spool.o, flipped(self.o))
        for block in (packer, spool):
            m.d.comb += [block.i_plan.eq(self.i_plan), block.i_place.eq(self.i_place),
                         block.i_start.eq(self.i_start)]
        m.d.comb += [spool.i_address.eq(self.i_address), spool.i_kept.eq(packer.o_kept),
                     spool.i_ended.eq(packer.o_ended), self.o_full.eq(packer.o_full)]
        return m
