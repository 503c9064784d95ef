"""Functional coverage points of the rows of a packed tile: index, table and filter; see `points`."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Cat, Module, Signal

from hdl.lane_store import LaneStore
from hdl.pe_front import PeOp
from hdl.row_filter import RowFilter
from hdl.row_index import FLAGS, RowIndex

__all__ = ["ROW_BLOCKS"]

Points = dict[str, tuple[str, Any]]


def _index(index: RowIndex, m: Module) -> Points:
    # The op whose word of the index has been read; it goes on when the next one is taken.
    here, op = Signal(name="point_here"), Signal(PeOp(index._config), name="point_op")
    with m.If(index.i.ready):
        m.d.sync += [here.eq(index.i.valid), op.eq(index.i.p)]
    (read,) = m.submodules.words.read_ports
    place, last_place = op.address[:4], FLAGS - 1
    filled = read.data.flags.bit_select(place, 1)
    goes = here & index.i.ready & op.token & index.i_packed
    present, absent = goes & filled, goes & ~filled
    before, after = op.before != 0, op.after != 0
    end = index.i_end
    return {
        "row_absent_between_closes": ("a token of a row without entries, between closes",
                                      absent & before & after),
        "row_absent_before_close": ("a token of a row without entries, with closes behind it only",
                                    absent & ~before & after),
        "row_absent_last": ("the last token of a job is of a row without entries", absent & op.last),
        "row_drops_op": ("a token of a row without entries goes", absent & ~before & ~after & ~op.last),
        "row_first_of_a_word": ("a row with entries is the first of its word", present & (place == 0)),
        "row_last_of_a_word": ("a row with entries is the last of its word", present & (place == last_place)),
        "row_full_word": ("all rows of a word have entries", present & (place == last_place)
                          & read.data.flags.all()),
        "row_lone_in_a_word": ("only the last row of a word has entries", present
                               & (read.data.flags == 1 << last_place)),
        "row_in_a_later_word": ("a row with entries behind rows with entries of another word",
                                present & (op.address >= FLAGS) & (place != 0) & ~read.data.flags[0]),
        "row_index_stalls": ("three ops are on their way, and one waits",
                             index.i_packed & index.i.valid & ~index.i.ready),
        "row_told_beside_a_look_up": ("a row of the next tile is told while one of this tile is looked up",
                                      end.valid & index.i_packed & index.i.valid & index.i.ready
                                      & index.i.p.token),
    }


def _store(store: LaneStore, m: Module) -> Points:
    if not store._config.compressed_b:
        return {}
    end = store.o_end
    return {
        "table_full": ("a row takes the last place of a half of the table",
                       end.valid & end.p.filled & end.p.table_row[:-1].all()),
        "table_past": ("a row with entries finds the table full",
                       end.valid & store.o_overflow & ~end.p.filled),
    }


def _filter(row_filter: RowFilter, m: Module) -> Points:
    beat, job = row_filter.o.p, row_filter.i_job
    passes = row_filter.o.valid & row_filter.o.ready & job.packed
    crowded = row_filter._crowded.bit_select(job.half, 1)
    heard = list(zip(beat.mask, beat.pes, strict=True))
    none, some, every = (Cat(bit & condition(pes) for bit, pes in heard).any() for condition in (
        lambda pes: ~pes.any(), lambda pes: pes.any() & ~pes.all(), lambda pes: pes.all()))
    return {
        "filter_token_of_none": ("a token whose row has entries in no PE", passes & none),
        "filter_token_of_some": ("a token whose row has entries in some PEs", passes & some),
        "filter_token_of_all": ("a token whose row has entries in every PE", passes & every & ~crowded),
        "filter_crowded": ("a packed tile with more rows than there are places", passes & crowded),
        "filter_meets": ("tokens of a beat meet in a bank", row_filter.i.valid & row_filter.i_open
                         & ~row_filter.i.ready & (~row_filter.o.valid | row_filter.o.ready) & job.packed),
        "filter_stalls": ("the bus does not take a beat", job.packed & row_filter.o.valid
                          & ~row_filter.o.ready),
    }


ROW_BLOCKS: dict[type, Callable[[Any, Module], Points]] = {
    RowIndex: _index, LaneStore: _store, RowFilter: _filter,
}
