"""Proof of what the command processor hands out."""

from amaranth.hdl import Const, Mux, Signal

from hdl.command import CommandProcessor

from .bench import Bench, Proof
from .checks import moves, stable
from .inside import Fault
from .offers import EIGHT_BEATS, TWO_BEATS

__all__ = ["PROOFS"]


def _command_jobs(b: Bench) -> None:
    """No job of a descriptor whose fields are beyond the configuration's limits is offered."""
    block, m, config = b.dut, b.m, b.dut._config
    # A job begins when the one before has ended, and its descriptors with it; beats come when they were asked
    # for.
    started, checked, full = b.inside("_started"), b.inside("_checked"), b.inside("reader/o").valid
    b.assume(~block.i_start | ~(b.inside("_running") | full))
    asked = Signal(8)
    m.d.sync += asked.eq(asked + Mux(moves(block.o_request), block.o_request.p.beats + 1, 0)
                         - block.i_beat.valid)
    b.assume(~block.i_beat.valid | (asked != 0))
    head = b.inside("_head")

    def fits(job):
        return ((job.n_count != 0) & (job.n_count <= config.max_block_columns)
                & (job.group_log2 <= config.lane_bits))

    tile, collector, router = block.o_tile_job, block.o_collector_job, block.o_router_job
    b.check(~collector.valid | (fits(collector.p) & (collector.p.rows != 0)))
    b.check(~tile.valid | (fits(tile.p) & (tile.p.k_count <= config.tile_bytes)
                           & (tile.p.slice_words != 0) & (tile.p.slice_words <= config.acc_words)))
    b.check(~router.valid | ((router.p.pk_log2 <= config.pe_bits)
                             & (router.p.group_log2 <= config.lane_bits)))
    stable(b, tile, collector, router, block.o_fetch_job)

    good = (fits(head) & (head.rows != 0) & (head.k_count <= config.tile_bytes) & (head.slice_words != 0)
            & (head.slice_words <= config.acc_words) & (head.pk_log2 <= config.pe_bits))
    b.invariant(~block.o_request.valid | b.inside("reader/active"))
    b.invariant(~checked | full)
    b.invariant(~started | (full & good))
    wrong = b.inside("check/flags") != 0
    if config.port_bytes <= 16:
        # Nothing of the last beat is looked at: the answer is there with it, and a cycle later in a register.
        b.invariant(~full | wrong | good)
        wrong = b.inside("check/o").valid
    b.invariant(~checked | wrong | good)
    for offers in (tile.valid, collector.valid, router.valid, block.o_fetch_job.valid,
                   b.inside("_tile_waits")):
        b.invariant(~offers | started)


_CLAIM = ("no job is offered whose sizes and grid are beyond the configuration's limits; the job streams are "
          "stable")
_FAULT = Fault("the answer about the fields does not count", "bad_fields", lambda value, inside: Const(0))

PROOFS = (
    Proof("command_jobs", "CommandProcessor", _CLAIM,
          lambda: CommandProcessor(TWO_BEATS), _command_jobs, _FAULT, depth=10, cover=12),
    Proof("command_jobs_late", "CommandProcessor", f"{_CLAIM}; the answer is a cycle later",
          lambda: CommandProcessor(EIGHT_BEATS), _command_jobs, _FAULT, depth=16, cover=18),
)
