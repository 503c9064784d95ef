"""Functional coverage points of what merges, samples and writes CSR; see `points`."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Cat, Module

from hdl.csr_spool import CsrSpool
from hdl.job_switch import JobSwitch
from hdl.layouts import Operation
from hdl.merge_combiner import MergeCombiner
from hdl.merge_feed import MergeFeed
from hdl.merge_rows import MergeRows
from hdl.merge_sorter import MergeSorter
from hdl.merger import OPERAND_A, OPERAND_B, Merger
from hdl.ones import Ones
from hdl.pair_packer import PairPacker
from hdl.row_buffer import MAX_ADVANCE, RowBuffer

__all__ = ["KERNEL_BLOCKS"]

Points = dict[str, tuple[str, Any]]


def _merger(merger: Merger, m: Module) -> Points:
    job = merger.i_job
    points: Points = {f"merge_{operation.name.lower()}": (
        f"an elementwise job of {operation.name}", job.valid & job.ready & (job.p.operation == operation))
        for operation in Operation}
    points |= {f"merge_fault_{name}": (f"columns of a row of {name.upper()} do not rise",
                                       merger.o_fault.valid & (merger.o_fault_operand == number))
               for name, number in (("a", OPERAND_A), ("b", OPERAND_B))}
    word = merger.o.p
    return points | {
        "merge_wraps": ("a sum of int32 and int8 wraps", merger.o_overflow),
        "merge_stalls": ("a merged word is not taken at once", merger.o.valid & ~merger.o.ready),
        "merge_empty_row": ("a row's end without entries", merger.o.valid & merger.o.ready & ~word.valid.any()
                            & word.row_last),
        "merge_full_word": ("a word of as many entries as there are lanes",
                            merger.o.valid & merger.o.ready & word.valid.all()),
        "merge_row_goes_on": ("entries of a row that does not end with them",
                              merger.o.valid & merger.o.ready & ~word.row_last),
        "merge_job_waits": ("an elementwise job waits for the one before", job.valid & ~job.ready),
    }


def _feed(feed: MergeFeed, m: Module) -> Points:
    beat, passes = feed.i.p, feed.i.valid & feed.i.ready
    ends = Cat(end.valid for end in beat.ends)
    return {
        "merge_beat_waits": ("a beat waits for room in the banks", feed.i.valid & ~feed.i.ready),
        "merge_beat_of_ends": ("a beat of row ends only", passes & ~beat.mask.any()),
        "merge_beat_full": ("a beat of T tokens and row ends", passes & beat.mask.all() & ends.any()),
        "merge_beat_last_empty": ("a matrix ends in a beat without tokens",
                                  passes & beat.last & ~beat.mask.any()),
        "merge_some_banks": ("some banks have an element, others none",
                             Cat(bank.valid for bank in feed.o).any()
                             & ~Cat(bank.valid for bank in feed.o).all()),
    }


def _sorter(sorter: MergeSorter, m: Module) -> Points:
    a, b = (Cat(bank.valid for bank in banks) for banks in (sorter.i_a, sorter.i_b))
    takes_a, takes_b = (Cat(bank.valid & bank.ready for bank in banks) for banks in (sorter.i_a, sorter.i_b))
    return {
        "merge_waits_for_a": ("B's elements wait for A's", b.all() & ~a.any()),
        "merge_waits_for_b": ("A's elements wait for B's", a.all() & ~b.any()),
        "merge_takes_a": ("a word of A's elements only", takes_a.all() & ~takes_b.any()),
        "merge_takes_b": ("a word of B's elements only", takes_b.all() & ~takes_a.any()),
        "merge_takes_both": ("a word of both matrices' elements", takes_a.any() & takes_b.any()),
        "merge_without_room": ("elements wait for room behind the sorter",
                               a.all() & b.all() & ~sorter.i_room),
    }


def _combiner(combiner: MergeCombiner, m: Module) -> Points:
    word = combiner.o.p
    return {
        "merge_several_ends": ("a word with several row ends", combiner.o.valid & word.end.all()),
        "merge_end_and_entry": ("a word with an entry and a row end",
                                combiner.o.valid & word.end.any() & word.entry.any()),
    }


def _rows(rows: MergeRows, m: Module) -> Points:
    return {"merge_rows_full": ("the queue of merged words has no room for what is on its way",
                                ~rows.o_room)}


def _switch(switch: JobSwitch, m: Module) -> Points:
    return {
        "switch_job_waits": ("a job waits until the last beat of the one before has passed",
                             switch.i_job.valid & ~switch.i_job.ready),
        "switch_stalls": ("a beat waits for the merger",
                          switch.o_merge.valid & ~switch.o_merge.ready),
    }


def _row_buffer(buffer: RowBuffer, m: Module) -> Points:
    points: Points = {f"rows_advance_{count}": (f"{count} rows of X are done with in one cycle",
                                                buffer.i_advance == count)
                      for count in range(1, MAX_ADVANCE + 1)}
    return points | {
        "rows_wait": ("a row of X has not come yet", ~buffer.o_there),
        "rows_far": ("as many rows are done with before they come as may be", buffer.o_far),
        "rows_full": ("no room for another row of X", ~buffer.o_room),
        "rows_no_words": ("a PE without words of the rows", buffer.i.valid & (buffer.i_own_words == 0)),
    }


def _ones(ones: Ones, m: Module) -> Points:
    return {"ones_part": ("a chunk of ones that is not full",
                          ones.o.valid & ones.o.ready & (ones.o.p.count != len(ones.o.p.data) // 8)),
            "ones_more": ("more ones than a chunk holds", ones.o.valid & ones.o.ready & ~ones.o.p.last)}


def _pairs(packer: PairPacker, m: Module) -> Points:
    word = packer.i
    return {
        "pairs_stall": ("a word of entries is not taken at once", word.valid & ~word.ready),
        "pairs_part": ("a beat of entries that is not full",
                       packer.o.valid & packer.o.ready & (packer.o.p.count != packer._config.pair_lanes)),
    }


def _spool(spool: CsrSpool, m: Module) -> Points:
    plan, place = spool.i_plan, spool.i_place
    job = spool.o_write_job
    taken = job.valid & job.ready
    return {
        "spool_entries_wait": ("entries wait for room", spool.i.valid & ~spool.i.ready),
        "spool_pointers_wait": ("row pointers wait for room", spool.i_pointers.valid
                                & ~spool.i_pointers.ready),
        "spool_index16": ("a CSR result with indices of 16 bits", taken & ~place.index32),
        "spool_index32": ("a CSR result with indices of 32 bits", taken & place.index32),
        "spool_int8": ("a CSR result of int8", taken & plan.int8),
        "spool_before_end": ("a block is written before the job has ended", taken & ~spool.i_ended),
    }


KERNEL_BLOCKS: dict[type, Callable[[Any, Module], Points]] = {
    Merger: _merger, MergeFeed: _feed, MergeSorter: _sorter, MergeCombiner: _combiner, MergeRows: _rows,
    JobSwitch: _switch, RowBuffer: _row_buffer, Ones: _ones, PairPacker: _pairs, CsrSpool: _spool,
}
