"""Where the beats of the A fetch go: to the router, or to the merger."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import Config
from .layouts import MergeJob, RawBeat, RouterJob

__all__ = ["JobSwitch"]


class JobSwitch(wiring.Component):
    """Hands each job, and the beats up to the one with `last`, to the unit that the job is for.

    Throughput: one beat a cycle.
    Latency: combinational.
    Backpressure: that of the unit whose job it is; the next job waits until the last beat has passed.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_job : stream of RouterJob
    i : stream of RawBeat
    o_router_job, o_router : streams of RouterJob and RawBeat
    o_merge_job, o_merge : streams of MergeJob and RawBeat
    """

    def __init__(self, config: Config):
        super().__init__({
            "i_job": In(stream.Signature(RouterJob(config))),
            "i": In(stream.Signature(RawBeat(config))),
            "o_router_job": Out(stream.Signature(RouterJob(config))),
            "o_router": Out(stream.Signature(RawBeat(config))),
            "o_merge_job": Out(stream.Signature(MergeJob())),
            "o_merge": Out(stream.Signature(RawBeat(config))),
        })

    def elaborate(self, platform):
        m = Module()
        busy, merges = Signal(), Signal()
        elementwise = self.i_job.p.elementwise
        m.d.comb += [self.o_router_job.p.eq(self.i_job.p), self.o_merge_job.p.eq(self.i_job.p.merge)]
        for job, beats, job_is_mine, is_mine in (
                (self.o_router_job, self.o_router, ~elementwise, ~merges),
                (self.o_merge_job, self.o_merge, elementwise, merges)):
            m.d.comb += [
                job.valid.eq(self.i_job.valid & ~busy & job_is_mine),
                beats.p.eq(self.i.p),
                beats.valid.eq(self.i.valid & busy & is_mine),
            ]
            with m.If(job_is_mine):
                m.d.comb += self.i_job.ready.eq(job.ready & ~busy)
            with m.If(is_mine):
                m.d.comb += self.i.ready.eq(beats.ready & busy)
        with m.If(self.i_job.valid & self.i_job.ready):
            m.d.sync += [busy.eq(1), merges.eq(elementwise)]
        with m.Elif(self.i.valid & self.i.ready & self.i.p.last):
            m.d.sync += busy.eq(0)
        return m
