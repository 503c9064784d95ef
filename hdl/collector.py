"""Writes C: takes the sums off the drain chains, finishes them, and sends their bytes to the writer."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .collector_control import CollectorControl
from .collector_layouts import record_bytes
from .config import Config
from .dealer import EarlierSums, ParameterRecords
from .densifier import Densifier
from .emitter import Emitter
from .finisher import Finisher
from .layouts import ChainWord, Chunk, CollectorJob, ReadBeat, ReadRequest, SegmentJob
from .merger import Merger
from .reader import SegmentReader
from .shared import add_shared

__all__ = ["Collector", "CollectorPath"]


class CollectorPath(wiring.Component):
    """The collector without its readers: chunks of earlier sums and parameters come as streams.

    Throughput: one word a cycle and chain, together one chunk of W bytes a cycle at `o`.
    Latency: from a chain word to its first chunk 5 cycles (int32), 13 (int8; 14 if two words share it).
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
    o : stream of Chunk of W bytes, for the write job
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
        m.submodules.merger = merger = Merger(config)
        wiring.connect(m, wiring.flipped(self.i_job), control.i_job)
        for name in ("o_write_job", "o_earlier_job", "o_parameter_job"):
            wiring.connect(m, getattr(control, name), wiring.flipped(getattr(self, name)))
        wiring.connect(m, wiring.flipped(self.i_earlier), earlier.i)
        wiring.connect(m, wiring.flipped(self.i_parameters), parameters.i)
        wiring.connect(m, merger.o, wiring.flipped(self.o))
        planned, drained = [earlier, parameters], Signal(config.chains)
        overflows = Signal(config.chains)

        for chain in range(config.chains):
            m.submodules[f"densifier_{chain}"] = densifier = Densifier(config, chain)
            finisher = Finisher(config)
            add_shared(m, f"finisher_{chain}", finisher, "finisher", platform)
            m.submodules[f"emitter_{chain}"] = emitter = Emitter(config)
            wiring.connect(m, wiring.flipped(self.i[chain]), densifier.i)
            wiring.connect(m, densifier.o, finisher.i)
            wiring.connect(m, earlier.o[chain], finisher.i_earlier)
            wiring.connect(m, parameters.o[chain], finisher.i_parameters)
            wiring.connect(m, finisher.o, emitter.i)
            wiring.connect(m, emitter.o, merger.i[chain])
            m.d.comb += [drained[chain].eq(densifier.o_drained), overflows[chain].eq(finisher.o_overflow),
                         emitter.i_plan.eq(control.o_plan)]
            planned += [densifier, finisher]
        for block in planned:
            m.d.comb += [block.i_plan.eq(control.o_plan), block.i_start.eq(control.o_start)]
        m.d.comb += [
            control.i_settled.eq(self.i_settled),
            control.i_drained.eq(drained.all()),
            control.i_finished.eq(self.o.valid & self.o.ready & self.o.p.last),
            self.o_drained.eq(control.o_drained),
            self.o_idle.eq(control.o_idle),
            self.o_overflow.eq(overflows.any()),
        ]
        return m


class Collector(wiring.Component):
    """Writes a job's rows of C: adds earlier sums and bias, applies ReLU, scales, cuts into chunks.

    Throughput: one word a cycle and chain, together one chunk of W bytes a cycle at `o`.
    Latency: from a chain word to its first chunk 5 cycles (int32), 13 (int8; 14 if two words share it).
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
    o : stream of Chunk of W bytes, for the write job
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
        m.submodules.earlier_reader = earlier = SegmentReader(config, config.port_bytes)
        m.submodules.parameter_reader = parameters = SegmentReader(config, record_bytes(config))
        wiring.connect(m, path.o_earlier_job, earlier.i_job)
        wiring.connect(m, path.o_parameter_job, parameters.i_job)
        wiring.connect(m, earlier.o, path.i_earlier)
        wiring.connect(m, parameters.o, path.i_parameters)
        for number, reader in enumerate((earlier, parameters)):
            wiring.connect(m, reader.o_request, wiring.flipped(self.o_request[number]))
            wiring.connect(m, wiring.flipped(self.i_beat[number]), reader.i_beat)
        wiring.connect(m, wiring.flipped(self.i_job), path.i_job)
        for chain in range(config.chains):
            wiring.connect(m, wiring.flipped(self.i[chain]), path.i[chain])
        wiring.connect(m, path.o_write_job, wiring.flipped(self.o_write_job))
        wiring.connect(m, path.o, wiring.flipped(self.o))
        m.d.comb += [path.i_settled.eq(self.i_settled), self.o_drained.eq(path.o_drained),
                     self.o_idle.eq(path.o_idle), self.o_overflow.eq(path.o_overflow)]
        return m
