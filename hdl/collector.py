"""Writes C: takes the sums off the drain chains, finishes them, and sends their bytes to the writer."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .collector_control import CollectorControl
from .collector_layouts import DenseWord, EntryTag, JoinedWord, record_bytes
from .config import Config
from .csr_out import CsrOut
from .dealer import EarlierSums, ParameterRecords
from .densifier import Densifier
from .emitter import Emitter
from .finisher import Finisher
from .layouts import (
    SUM_BYTES,
    ChainWord,
    Chunk,
    CollectorJob,
    CsrFull,
    MergedWord,
    ReadBeat,
    ReadRequest,
    SegmentJob,
    WriteChunk,
    WriteJob,
)
from .queue import Queue
from .reader import SegmentReader
from .register_slice import RegisterSlice
from .skid import Skid
from .sparse_rows import TAGS, SparseRows
from .word_joiner import WordJoiner

__all__ = ["Collector", "CollectorPath"]

JOINED_WORDS = 16
"""Words of a chain that wait while the other chain's row leaves."""


def _csr_members(config: Config) -> dict[str, Any]:
    """Members that only some configurations have."""
    return (({"o_full": Out(CsrFull())} if config.csr_out else {})
            | ({"i_merged": In(stream.Signature(MergedWord(config)))} if config.elementwise else {}))


class CollectorPath(wiring.Component):
    """The collector without its readers: chunks of earlier sums and parameters come as streams.

    Throughput: one word a cycle, of all chains together; one chunk a cycle at `o`: W bytes of int32, or V
        bytes of int8.
    Latency: from a chain word to its first chunk 5 cycles (int32; 6 with `csr_out`), 10 (int8).
    Backpressure: through every stage to the chains; nothing is lost.
    Order: rows (groups) as the job counts them, whichever chain they come on.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_job : stream of CollectorJob, taken when the job before has left
    i_settled : everything written so far has arrived in memory; a job with `accumulate` waits for it
    i : for each chain, stream of ChainWord; row (group) r comes on chain r mod chains
    i_earlier : stream of Chunk of W bytes, earlier sums as `o_earlier_job` asks
    i_parameters : stream of Chunk of min(8, W) bytes, as `o_parameter_job` asks
    o_write_job : stream of WriteJob
    o_earlier_job, o_parameter_job : streams of SegmentJob
    o : stream of WriteChunk, for the write job; bytes past a chunk's count are not zero
    o_drained : 1, pulse: the last chain word of the job was taken, on all chains
    o_idle : 1, no job
    o_overflow : 1, earlier sums or a bias made a sum wrap
    o_full : CsrFull (only with `csr_out`)
    i_merged : stream of MergedWord, taken while an elementwise job runs (only with `elementwise`)
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_job": In(stream.Signature(CollectorJob(config))),
            "i_settled": In(1, init=1),
            "i": In(stream.Signature(ChainWord(config))).array(config.chains),
            "i_earlier": In(stream.Signature(Chunk(config.port_bytes))),
            "i_parameters": In(stream.Signature(Chunk(record_bytes(config)))),
            "o_write_job": Out(stream.Signature(WriteJob(config))),
            "o_earlier_job": Out(stream.Signature(SegmentJob())),
            "o_parameter_job": Out(stream.Signature(SegmentJob())),
            "o": Out(stream.Signature(WriteChunk(config))),
            "o_drained": Out(1),
            "o_idle": Out(1),
            "o_overflow": Out(1),
        } | _csr_members(config))

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.control = control = CollectorControl(config)
        m.submodules.earlier = earlier = EarlierSums(config)
        m.submodules.parameters = parameters = ParameterRecords(config)
        m.submodules.densifier = densifier = Densifier(config)
        m.submodules.finisher = finisher = Finisher(config)
        m.submodules.emitter = emitter = Emitter(config)
        connect(m, flipped(self.i_job), control.i_job)
        for name in ("o_earlier_job", "o_parameter_job"):
            connect(m, getattr(control, name), flipped(getattr(self, name)))
        connect(m, flipped(self.i_parameters), parameters.i)
        connect(m, earlier.o, finisher.i_earlier)
        connect(m, parameters.o, finisher.i_parameters)
        for block in (parameters, densifier, finisher, emitter):
            m.d.comb += block.i_plan.eq(control.o_plan)
        for block in (earlier, parameters, finisher):
            m.d.comb += block.i_start.eq(control.o_start)
        if config.csr_out:
            self._dense_or_sparse(m, control, earlier, densifier, finisher, emitter)
        else:
            for chain in range(config.chains):
                connect(m, flipped(self.i[chain]), densifier.i[chain])
            connect(m, flipped(self.i_earlier), earlier.i)
            connect(m, densifier.o, finisher.i)
            connect(m, finisher.o, emitter.i)
            connect(m, emitter.o, flipped(self.o))
            connect(m, control.o_write_job, flipped(self.o_write_job))
            m.d.comb += [control.i_drained.eq(densifier.o_drained), densifier.i_start.eq(control.o_start)]
        m.d.comb += [
            control.i_settled.eq(self.i_settled),
            control.i_finished.eq(self.o.valid & self.o.ready & self.o.p.last),
            self.o_drained.eq(control.o_drained),
            self.o_idle.eq(control.o_idle),
            self.o_overflow.eq(finisher.o_overflow),
        ]
        return m

    def _dense_or_sparse(self, m: Module, control, earlier, densifier, finisher, emitter) -> None:
        """Two ways from the chains into the finisher and out of it; a job takes one of them."""
        config, csr = self._config, control.o_plan.csr
        m.submodules.rows = rows = SparseRows(config)
        m.submodules.csr_out = sparse = CsrOut(config)
        merges: Any = control.o_plan.elementwise if config.elementwise else 0
        for block, mine in ((rows, csr & ~merges), (densifier, ~csr)):
            m.d.comb += block.i_start.eq(control.o_start & mine)
        for chain, source in enumerate(self.i):
            # While one chain's row leaves, the other one's words join.
            m.submodules[f"joiner{chain}"] = joiner = WordJoiner(config, chain)
            m.submodules[f"joined{chain}"] = joined = Queue(JoinedWord(config), JOINED_WORDS)
            connect(m, joiner.o, joined.i)
            connect(m, joined.o, rows.i[chain])
            m.d.comb += [
                joiner.i_plan.eq(control.o_plan),
                joiner.i_start.eq(control.o_start & csr & ~merges),
                *(sink.p.eq(source.p) for sink in (joiner.i, densifier.i[chain])),
                joiner.i.valid.eq(source.valid & csr & ~merges),
                densifier.i[chain].valid.eq(source.valid & ~csr),
                source.ready.eq(Mux(csr, joiner.i.ready & ~merges, densifier.i[chain].ready)),
            ]
        words, drained = rows.o, rows.o_drained
        if config.elementwise:
            words, drained = self._merged_rows(m, control, rows, sparse)
        else:
            connect(m, rows.o_tag, sparse.i_tag)
        for sink, dense, other in ((finisher.i, densifier.o, words), (self.o, emitter.o, sparse.o),
                                   (self.o_write_job, control.o_write_job, sparse.o_write_job)):
            m.d.comb += [
                sink.p.eq(Mux(csr, other.p.as_value(), dense.p.as_value())),
                sink.valid.eq(Mux(csr, other.valid, dense.valid)),
                dense.ready.eq(sink.ready & ~csr),
                other.ready.eq(sink.ready & csr),
            ]
        for sink, mine in ((emitter.i, ~csr), (sparse.i, csr)):
            m.d.comb += [sink.p.eq(finisher.o.p), sink.valid.eq(finisher.o.valid & mine)]
        m.d.comb += [
            finisher.o.ready.eq(Mux(csr, sparse.i.ready, emitter.i.ready)),
            rows.i_plan.eq(control.o_plan),
            sparse.i_plan.eq(control.o_plan),
            sparse.i_place.eq(control.o_place),
            sparse.i_address.eq(control.o_address),
            sparse.i_start.eq(control.o_start & csr),
            self.i_earlier.ready.eq(Mux(csr, sparse.i_earlier.ready, earlier.i.ready)),
            *(sink.p.eq(self.i_earlier.p) for sink in (earlier.i, sparse.i_earlier)),
            earlier.i.valid.eq(self.i_earlier.valid & ~csr),
            sparse.i_earlier.valid.eq(self.i_earlier.valid & csr),
            control.i_drained.eq(Mux(csr, drained, densifier.o_drained)),
            self.o_full.eq(sparse.o_full),
        ]

    def _merged_rows(self, m: Module, control, rows: SparseRows, sparse: CsrOut) -> tuple[Any, Value]:
        """The merger's words in place of the chains' where the plan says so; and whether all were taken."""
        config, merges = self._config, control.o_plan.elementwise
        m.submodules.merged_tags = tags = Queue(EntryTag(config), TAGS)
        words = stream.Signature(DenseWord(config)).create(path=("words",))
        source, active, leaves = self.i_merged, Signal(), Signal()
        word: Any = Signal(DenseWord(config), name="merged_word")
        m.d.comb += [
            leaves.eq(source.valid & source.ready),
            source.ready.eq(active & tags.i.ready & words.ready),
            *(lane.eq(value) for lane, value in zip(word.data, source.p.values, strict=False)),
            word.group_last.eq(source.p.row_last),
            word.job_last.eq(source.p.job_last),
            words.p.eq(Mux(merges, word, rows.o.p)),
            words.valid.eq(Mux(merges, source.valid & active & tags.i.ready, rows.o.valid)),
            rows.o.ready.eq(words.ready & ~merges),
            tags.i.valid.eq(leaves),
            *(tags.i.p[name].eq(source.p[name]) for name in ("valid", "columns", "row_last", "job_last")),
            sparse.i_tag.p.columns.eq(tags.o.p.columns),
            *(sparse.i_tag.p[name].eq(Mux(merges, tags.o.p[name], rows.o_tag.p[name]))
              for name in ("valid", "words", "row_last", "job_last")),
            sparse.i_tag.valid.eq(Mux(merges, tags.o.valid, rows.o_tag.valid)),
            tags.o.ready.eq(sparse.i_tag.ready & merges),
            rows.o_tag.ready.eq(sparse.i_tag.ready & ~merges),
        ]
        with m.If(leaves & source.p.job_last):
            m.d.sync += active.eq(0)
        with m.If(control.o_start & merges):
            m.d.sync += active.eq(1)
        return words, Mux(merges, ~active, rows.o_drained)


class Collector(wiring.Component):
    """Writes a job's rows of C: adds earlier sums and bias, applies ReLU, scales, cuts into chunks.

    Throughput: one word a cycle, of all chains together; one chunk a cycle at `o`: W bytes of int32, or V
        bytes of int8.
    Latency: from a chain word to its first chunk 5 cycles (int32; 6 with `csr_out`), 10 (int8).
    Backpressure: through every stage to the chains; nothing is lost.
    Order: rows (groups) as the job counts them, whichever chain they come on.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_job : stream of CollectorJob, taken when the job before has left
    i_settled : everything written so far has arrived in memory; a job with `accumulate` waits for it
    i : for each chain, stream of ChainWord; row (group) r comes on chain r mod chains
    o_request, i_beat : two read streams: 0 earlier sums, 1 parameter records
    o_write_job : stream of WriteJob, offered before its first chunk
    o : stream of WriteChunk, for the write job; bytes past a chunk's count are not zero
    o_drained : 1, pulse: the last chain word of the job was taken, on all chains
    o_idle : 1, no job
    o_overflow : 1, earlier sums or a bias made a sum wrap
    o_full : CsrFull (only with `csr_out`)
    i_merged : stream of MergedWord, taken while an elementwise job runs (only with `elementwise`)
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_job": In(stream.Signature(CollectorJob(config))),
            "i_settled": In(1, init=1),
            "i": In(stream.Signature(ChainWord(config))).array(config.chains),
            "o_request": Out(stream.Signature(ReadRequest(config))).array(2),
            "i_beat": In(stream.Signature(ReadBeat(config), always_ready=True)).array(2),
            "o_write_job": Out(stream.Signature(WriteJob(config))),
            "o": Out(stream.Signature(WriteChunk(config))),
            "o_drained": Out(1),
            "o_idle": Out(1),
            "o_overflow": Out(1),
        } | _csr_members(config))

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.path = path = CollectorPath(config)
        earlier = SegmentReader(config, config.port_bytes, align_bytes=SUM_BYTES)
        parameters = SegmentReader(config, record_bytes(config), single_row=True, align_bytes=SUM_BYTES,
                                   shallow=True)
        m.submodules.earlier_reader, m.submodules.parameter_reader = earlier, parameters
        connect(m, path.o_earlier_job, earlier.i_job)
        connect(m, path.o_parameter_job, parameters.i_job)
        for number, (name, reader) in enumerate((("earlier", earlier), ("parameters", parameters))):
            # What the finisher takes hangs on all its stages, or on a word in the midst of being scaled: it
            # ends here.
            m.submodules[f"{name}_skid"] = skid = Skid(reader.o.p.shape())
            connect(m, reader.o, skid.i)
            connect(m, skid.o, getattr(path, f"i_{name}"))
            connect(m, reader.o_request, flipped(self.o_request[number]))
            connect(m, flipped(self.i_beat[number]), reader.i_beat)
        connect(m, flipped(self.i_job), path.i_job)
        for chain in range(config.chains):
            connect(m, flipped(self.i[chain]), path.i[chain])
        connect(m, path.o_write_job, flipped(self.o_write_job))
        chunks = path.o
        if config.far_apart:
            # With `lean_drain` a job ends a cycle later, and how a chunk is cut is not in the writer's way.
            rest = RegisterSlice if config.lean_drain else Skid
            m.submodules.chunks_skid = skid = rest(chunks.p.shape())
            connect(m, chunks, skid.i)
            chunks = skid.o
        connect(m, chunks, flipped(self.o))
        m.d.comb += [path.i_settled.eq(self.i_settled), self.o_drained.eq(path.o_drained),
                     self.o_idle.eq(path.o_idle), self.o_overflow.eq(path.o_overflow)]
        if config.csr_out:
            m.d.comb += self.o_full.eq(path.o_full)
        if config.elementwise:
            connect(m, flipped(self.i_merged), path.i_merged)
        return m
