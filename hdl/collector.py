"""Writes C: takes the sums off the drain chains, finishes them, and sends their bytes to the writer."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .collector_control import CollectorControl
from .collector_layouts import record_bytes
from .config import Config
from .dealer import EarlierSums, ParameterRecords
from .densifier import Densifier
from .emitter import Emitter
from .finisher import Finisher
from .layouts import SUM_BYTES, ChainWord, Chunk, CollectorJob, ReadBeat, ReadRequest, SegmentJob
from .reader import SegmentReader

__all__ = ["Collector", "CollectorPath"]


class CollectorPath(wiring.Component):
    """The collector without its readers: chunks of earlier sums and parameters come as streams.

    Throughput: one word a cycle, of all chains together; one chunk a cycle at `o`: W bytes of int32, or V
        bytes of int8.
    Latency: from a chain word to its first chunk 5 cycles (int32), 10 (int8).
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
    o_write_job, o_earlier_job, o_parameter_job : streams of SegmentJob
    o : stream of Chunk of W bytes, for the write job; bytes past a chunk's count are not zero
    o_drained : 1, pulse: the last chain word of the job was taken, on all chains
    o_idle : 1, no job
    o_overflow : 1, earlier sums or a bias made a sum wrap
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_job": In(stream.Signature(CollectorJob(config))),
            "i_settled": In(1, init=1),
            "i": In(stream.Signature(ChainWord(config))).array(config.chains),
            "i_earlier": In(stream.Signature(Chunk(config.port_bytes))),
            "i_parameters": In(stream.Signature(Chunk(record_bytes(config)))),
            "o_write_job": Out(stream.Signature(SegmentJob())),
            "o_earlier_job": Out(stream.Signature(SegmentJob())),
            "o_parameter_job": Out(stream.Signature(SegmentJob())),
            "o": Out(stream.Signature(Chunk(config.port_bytes))),
            "o_drained": Out(1),
            "o_idle": Out(1),
            "o_overflow": Out(1),
        })

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
        for name in ("o_write_job", "o_earlier_job", "o_parameter_job"):
            connect(m, getattr(control, name), flipped(getattr(self, name)))
        connect(m, flipped(self.i_earlier), earlier.i)
        connect(m, flipped(self.i_parameters), parameters.i)
        for chain in range(config.chains):
            connect(m, flipped(self.i[chain]), densifier.i[chain])
        connect(m, densifier.o, finisher.i)
        connect(m, earlier.o, finisher.i_earlier)
        connect(m, parameters.o, finisher.i_parameters)
        connect(m, finisher.o, emitter.i)
        connect(m, emitter.o, flipped(self.o))
        for block in (parameters, densifier, finisher, emitter):
            m.d.comb += block.i_plan.eq(control.o_plan)
        for block in (earlier, parameters, densifier, finisher):
            m.d.comb += block.i_start.eq(control.o_start)
        m.d.comb += [
            control.i_settled.eq(self.i_settled),
            control.i_drained.eq(densifier.o_drained),
            control.i_finished.eq(self.o.valid & self.o.ready & self.o.p.last),
            self.o_drained.eq(control.o_drained),
            self.o_idle.eq(control.o_idle),
            self.o_overflow.eq(finisher.o_overflow),
        ]
        return m


class Collector(wiring.Component):
    """Writes a job's rows of C: adds earlier sums and bias, applies ReLU, scales, cuts into chunks.

    Throughput: one word a cycle, of all chains together; one chunk a cycle at `o`: W bytes of int32, or V
        bytes of int8.
    Latency: from a chain word to its first chunk 5 cycles (int32), 10 (int8).
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
    o_write_job : stream of SegmentJob, offered before the job's first chunk
    o : stream of Chunk of W bytes, for the write job; bytes past a chunk's count are not zero
    o_drained : 1, pulse: the last chain word of the job was taken, on all chains
    o_idle : 1, no job
    o_overflow : 1, earlier sums or a bias made a sum wrap
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_job": In(stream.Signature(CollectorJob(config))),
            "i_settled": In(1, init=1),
            "i": In(stream.Signature(ChainWord(config))).array(config.chains),
            "o_request": Out(stream.Signature(ReadRequest(config))).array(2),
            "i_beat": In(stream.Signature(ReadBeat(config), always_ready=True)).array(2),
            "o_write_job": Out(stream.Signature(SegmentJob())),
            "o": Out(stream.Signature(Chunk(config.port_bytes))),
            "o_drained": Out(1),
            "o_idle": Out(1),
            "o_overflow": Out(1),
        })

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
        connect(m, earlier.o, path.i_earlier)
        connect(m, parameters.o, path.i_parameters)
        for number, reader in enumerate((earlier, parameters)):
            connect(m, reader.o_request, flipped(self.o_request[number]))
            connect(m, flipped(self.i_beat[number]), reader.i_beat)
        connect(m, flipped(self.i_job), path.i_job)
        for chain in range(config.chains):
            connect(m, flipped(self.i[chain]), path.i[chain])
        connect(m, path.o_write_job, flipped(self.o_write_job))
        connect(m, path.o, flipped(self.o))
        m.d.comb += [path.i_settled.eq(self.i_settled), self.o_drained.eq(path.o_drained),
                     self.o_idle.eq(path.o_idle), self.o_overflow.eq(path.o_overflow)]
        return m
