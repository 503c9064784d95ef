"""Proof that an idle A fetch has nothing outstanding."""

from amaranth.hdl import Cat, Mux, Signal

from hdl.fetch import Fetch
from hdl.layouts import FetchFormat

from .bench import Bench, Proof
from .checks import moves, stable, steady
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS"]

COUNT_BITS = 6


def _idle(b: Bench) -> None:
    """Small jobs of any kind, with any row pointers and indices, on a memory that answers when it likes."""
    fetch, m = b.dut, b.m
    b.no_reset()
    steady(b, fetch.i_job)
    stable(b, fetch.o)
    job = fetch.i_job.p
    b.assume((job.rows <= 2) & (job.nnz <= 2 * SMALL.beat_tokens) & (job.count <= SMALL.beat_tokens))
    b.assume(job.stride == job.count)
    formats = (FetchFormat.DENSE, FetchFormat.CSR16, FetchFormat.CSR32)
    b.assume(Cat(job.format == number for number in formats).any())
    for name in ("pointers", "indices", "values"):
        b.assume(job[name] < 1 << 4)
    b.assume((job.pointers % 4 == 0) & (job.indices % 4 == 0))
    outstanding = []
    for number, (request, beat) in enumerate(zip(fetch.o_request, fetch.i_beat, strict=True)):
        owed = Signal(COUNT_BITS, name=f"owed{number}")
        m.d.sync += owed.eq(owed + Mux(moves(request), request.p.beats + 1, 0) - beat.valid)
        b.assume(~beat.valid | (owed != 0))
        outstanding.append((owed != 0) | request.valid)
    # Row ends of the jobs that were taken, and of the beats that left.
    wanted, came = Signal(COUNT_BITS), Signal(COUNT_BITS)
    with m.If(moves(fetch.i_job)):
        m.d.sync += wanted.eq(wanted + job.rows)
    with m.If(moves(fetch.o)):
        m.d.sync += came.eq(came + sum(end.valid for end in fetch.o.p.ends))
    for reads in outstanding:
        b.check(~fetch.o_idle | ~reads)
    b.check(~fetch.o_idle | (~fetch.i_job.valid & ~fetch.o.valid & (came == wanted)))
    read = Signal()
    with m.If(fetch.i_beat[1].valid):
        m.d.sync += read.eq(1)
    b.cover(fetch.o_idle & (wanted == 2) & read)


PROOFS = (
    Proof("fetch_idle", "Fetch",
          "idle means that no read is asked for or outstanding, no job and no beat waits, and every row end "
          "has left; the output is stable",
          lambda: Fetch(SMALL), _idle,
          Fault("the readers are not looked at", "o_idle",
                lambda value, inside: ~inside("i_job").valid & inside("rows/o_idle")),
          induction=None, depth=21, cover=24, solver="bitwuzla"),
)
