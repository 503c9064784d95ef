"""Tells runs of beats that belong together apart, for whoever has them written."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .config import Config, width_of
from .queue import Queue

__all__ = ["Run", "RunMark", "RunTracker"]

RUNS = 16
"""Runs that are known and not yet begun to be written."""


def RunMark(config: Config) -> data.StructLayout:
    """What a PairBeat tells of its run."""
    return data.StructLayout({"count": width_of(config.pair_lanes + 1), "opens": 1, "position": 32})


def Run(config: Config, most_beats: int) -> data.StructLayout:
    """Consecutive entries of a result, from the `position`-th on, in so many beats."""
    return data.StructLayout({"position": 32, "beats": width_of(most_beats + 1)})


class RunTracker(wiring.Component):
    """Counts the beats of each run; cuts runs that are longer than a block.

    Throughput: one beat a cycle.
    Latency: a cycle from when the next run begins, when a run is as long as a block and goes on, or from the
        end of the job.
    Backpressure: `i.ready` falls while as many runs wait as there is room for.
    Order: kept.

    Parameters
    ----------
    config : Config
    most_beats : int, of a block

    Members
    -------
    i : stream of RunMark, one for each beat; all beats of a run but its last are full
    i_ended : level, no beat follows
    o : stream of Run
    o_empty : no run is open or waits
    """

    def __init__(self, config: Config, most_beats: int):
        self._config, self._most_beats = config, most_beats
        self._run = Run(config, most_beats)
        super().__init__({
            "i": In(stream.Signature(RunMark(config))),
            "i_ended": In(1),
            "o": Out(stream.Signature(self._run)),
            "o_empty": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = Queue(self._run, RUNS)
        connect(m, queue.o, flipped(self.o))
        run, mark = Signal(self._run), self.i.p      # the open one; without beats there is none
        entries = Signal(width_of(self._most_beats * self._config.pair_lanes + 1))
        is_open, moves, begins = Signal(), Signal(), Signal()
        m.d.comb += [
            is_open.eq(run.beats != 0),
            self.i.ready.eq(queue.i.ready),
            moves.eq(self.i.valid & self.i.ready),
            begins.eq(mark.opens | (run.beats == self._most_beats)),
            queue.i.p.eq(run),
            queue.i.valid.eq(is_open & ((self.i.valid & begins) | self.i_ended)),
            self.o_empty.eq(~is_open & (queue.level == 0)),
        ]
        with m.If(moves):
            m.d.sync += [run.beats.eq(run.beats + 1), entries.eq(entries + mark.count)]
            with m.If(begins):
                m.d.sync += [run.position.eq(Mux(mark.opens, mark.position, run.position + entries)),
                             run.beats.eq(1), entries.eq(mark.count)]
        with m.Elif(queue.i.valid & queue.i.ready):
            m.d.sync += run.beats.eq(0)
        return m
