"""What plans of a product cost: the tiles of each, from the operands themselves; see `zerolane.cost`."""

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from hdl.config import Config
from hdl.layouts import CsrMode

from .cost import (
    COSTS,
    Resident,
    Streamed,
    TileCost,
    beats_cycles,
    by_owner,
    ceil_div,
    filter_cycles,
    schedule_cycles,
)
from .operands import INDEX16_COLUMNS
from .plan import Plan, Tile
from .problem import Problem
from .serial_cost import SerialCost
from .sparse_sample import SparseSample

__all__ = ["PlanCosts"]

_LARGEST_STRETCH = 2               # of the lanes' cycles by uneven tokens, where something else limits


class PlanCosts:
    """Of one orientation of a problem: which operand's nonzeros become tokens, and which one rests."""

    def __init__(self, problem: Problem, config: Config, transposed: bool):
        a, b = (problem.b, problem.a) if transposed else (problem.a, problem.b)
        self.problem, self.config = problem, config
        self.streamed = Streamed.of(a, transposed=transposed)
        layers = problem.layers_of(b)
        self.resident = Resident(b, transposed, layers)
        self.layers = len(layers)
        self.words = ceil_div(self.resident.columns, config.lanes)
        row_bias, column_bias, row_scale = problem.row_bias, problem.column_bias, problem.row_scale
        if transposed:
            row_bias, column_bias, row_scale = column_bias, row_bias, problem.column_scale
        self._column_bias = column_bias is not None
        self._row_parameters = 4 * sum(values is not None for values in (row_bias, row_scale))
        self._stretches: dict[tuple[int, int, bool], float] = {}

    @cached_property
    def sample(self) -> SparseSample:
        """Of a CSR result's rows."""
        return SparseSample(self.streamed.operand, self.resident.operand)

    @cached_property
    def _serial(self) -> SerialCost:
        return SerialCost(self.streamed, self.resident, self.problem.out_int8, self._column_bias,
                          self._row_parameters)

    def first_look(self, plan: Plan, lengths: np.ndarray | None) -> Plan:
        """The plan with its cycles, if the packer is as fast as its best case and lanes never wait for each
        other; `lengths`: packed words of each row of B in each slice, None for dense tiles."""
        if self.config.serial:
            cycles, terms = self._serial.cycles(plan)
        else:
            cycles, terms = schedule_cycles(self._tile_costs(plan, lengths), whole=plan.whole,
                                            config=self.config)
        return replace(plan, cycles=cycles, terms=terms)

    def refined(self, plan: Plan) -> Plan:
        """The same plan with a closer look, which can only add cycles: at what the packer needs, and at lanes
        that wait for each other where the token queues do not even it out."""
        config = self.config
        if config.serial:
            return plan     # nothing waits for anything that the first look left out
        lengths = (self.resident.packed_words(config.lanes, plan.slice_words, config.pes >> plan.pk_log2)
                   if plan.packed else None)
        costs = self._tile_costs(plan, lengths, exact=True)
        stretch = self._stretch(plan, costs, lengths)
        costs = [replace(cost, lanes=cost.lanes * stretch) for cost in costs]
        cycles, terms = schedule_cycles(costs, whole=plan.whole, config=self.config)
        return replace(plan, cycles=cycles, terms=terms)

    def _tile_costs(self, plan: Plan, lengths: np.ndarray | None, *, exact: bool = False) -> list[TileCost]:
        """Costs of all tiles; those of full column blocks with equal parts of K are made once.

        Unless `exact`, the packer is taken to be as fast as its best case.
        """
        tiles = plan.tiles()
        costs: dict[tuple[Any, ...], TileCost] = {}
        result = []
        steps = (len(plan.k_cuts) - 1) * plan.layers
        for number, tile in enumerate(tiles):
            step = number % steps
            key = (step, tile.n_count, tile.n_start if lengths is not None else 0, tile.mode, tile.rows)
            if key not in costs:
                costs[key] = self._tile_cost(plan, tile, step == 0, step == steps - 1, lengths, exact)
            result.append(replace(costs[key], load=0, load_port=0) if tile.reuse else costs[key])
        return result

    def _stretch(self, plan: Plan, costs: list[TileCost], lengths: np.ndarray | None) -> float:
        others = sum(max(cost.fetch, cost.drain, cost.port) for cost in costs)
        hidden = _LARGEST_STRETCH * sum(cost.lanes for cost in costs) < others
        if hidden or (lengths is None and plan.pk_log2 == 0):  # or every PE takes every token
            return 1.0
        key = plan.pk_log2, min(plan.slice_words, self.words), plan.packed
        if key not in self._stretches:
            words = np.full((self.resident.inner, 1), key[1]) if lengths is None else np.maximum(lengths, 1)
            self._stretches[key] = self.streamed.stretch(self.config, plan.pk_log2, words)
        return self._stretches[key]

    def _tile_cost(self, plan: Plan, tile: Tile, first: bool, last: bool, lengths: np.ndarray | None,
                   exact: bool) -> TileCost:
        config, streamed = self.config, self.streamed
        words = 1 if plan.group_log2 else ceil_div(tile.n_count, config.lanes)
        groups = ceil_div(streamed.rows, 1 << plan.group_log2)
        raw_bytes = groups * words * config.lanes * 4
        row_bytes = tile.n_count * self.problem.out_bytes
        if plan.group_log2 and tile.n_count < self.resident.columns:
            row_bytes = ceil_div(row_bytes, config.port_bytes) * config.port_bytes  # rows lie apart
        out: float = streamed.rows * row_bytes if last else raw_bytes
        sparse_drain = own_drain = 0.0
        if self.problem.csr:
            sparse_drain, own_drain, out = self._sparse_cost(plan, tile, lengths)
        moved = streamed.bytes_of(tile.k_count, tile.rows) + out + (
            self._row_parameters * streamed.rows if last else 0)
        if not first or self._column_bias:
            moved += raw_bytes
        rows = slice(tile.k_start, tile.k_start + tile.k_count)
        counts = streamed.counts[rows]
        if lengths is None:
            walk = by_owner(counts, plan.pk_log2).max(initial=0)
            lanes = float(walk) * min(words, plan.slice_words)
            load, load_bytes = self._dense_load(plan, tile)
        else:
            block, count = tile.n_start // plan.block_columns, config.pes >> plan.pk_log2
            slices = slice(block * count, (block + 1) * count)
            # A token that has nothing in a slice goes by there, one a cycle if no filter keeps it away.
            walked = lengths[rows, slices]
            lanes = float(by_owner(counts[:, None] * walked, plan.pk_log2).max(initial=0))
            if not config.row_filter:
                lanes = max(lanes, float(by_owner(counts, plan.pk_log2).max(initial=0)))
            if self.problem.csr:
                of_all_rows = np.zeros_like(lengths[:, slices])
                of_all_rows[rows] = walked
                lanes = max(lanes, self.sample.lanes(plan.pk_log2, of_all_rows))
            packer = (self.resident.packer_cycles(config, plan.block_columns)[rows, block].sum() if exact
                      else tile.k_count)
            load, load_bytes = self._packed_load(tile, packer)
        scaling = 1 if not (last and self.problem.out_int8) else config.lanes / config.scale_multipliers
        # Rows come on the chains in turn, and one unit finishes the words of all of them, one a cycle.
        drain: float = groups * words * max(scaling, COSTS.lean_chain if config.lean_drain else 1)
        own_words = min(words, plan.slice_words)
        if config.lean_drain and own_words > 1:
            # A word leaves while nothing is added. (One by itself does while its sum stays in the adder.)
            lanes += groups * own_words
        if self.problem.csr:
            drain, lanes = sparse_drain * scaling, max(lanes, own_drain)
        fetch = streamed.fetch_cycles(config, tile.k_count, tile.rows)
        if plan.packed and config.row_filter:
            fetch = max(fetch, filter_cycles(config, counts.sum()))
        return TileCost(lanes, fetch, drain, moved / config.port_bytes,
                        load, load_bytes / config.port_bytes)

    def _sparse_cost(self, plan: Plan, tile: Tile, lengths: np.ndarray | None) -> tuple[float, float, float]:
        """Cycles of the collector and of a PE until all words with a sum have left, and bytes of C.

        In the collector words of a row join where their lanes follow each other, and each row takes one word
        at least. A PE's rows with a sum wait in its accumulators until all of it has been added.
        """
        config, rows = self.config, plan.rows_of(tile)
        own_words = ceil_div(ceil_div(tile.n_count, config.lanes), config.pes >> plan.pk_log2)
        if lengths is None:
            # A dense tile makes sums everywhere.
            joined, hit = rows * ceil_div(tile.n_count, config.lanes), rows
            entries, own, own_rows = float(rows * tile.n_count), float(rows * own_words), rows
        else:
            blocks = self.sample.blocks(plan.block_columns, config.pes >> plan.pk_log2, config.lanes)
            here = tile.n_start // plan.block_columns
            joined, hit, entries = blocks.joined[here], blocks.rows[here], blocks.entries[here]
            own, own_rows = blocks.own_words[here], blocks.own_rows[here]
        places = 2 * config.acc_words >> (own_words - 1).bit_length()
        own = max(own, own_rows * COSTS.settling / max(1, places - 1))
        out: float = 4 * (rows + 1) * (1 if tile.mode is CsrMode.WHOLE else 2)
        if tile.mode in (CsrMode.WHOLE, CsrMode.PLACE):
            out += entries * (4 + self.problem.out_bytes)
        if tile.mode is CsrMode.PLACE:
            # Each row's indices and values begin and end anywhere in a beat.
            out += 2 * hit * (config.port_bytes - 4)
        if tile.mode in (CsrMode.COUNT, CsrMode.POINTERS) and self._counts_rows(plan):
            joined = hit
        return rows + max(0, joined - hit), own, out

    def _counts_rows(self, plan: Plan) -> bool:
        """Whether a row's entries are counted in the PEs, as the command processor decides it."""
        return plan.packed and not plan.pk_log2 and not self.problem.drops_zeros

    def _dense_load(self, plan: Plan, tile: Tile) -> tuple[float, float]:
        """Cycles and bytes: a chunk a cycle and a row's last chunk short, unless rows lie without a gap."""
        config = self.config
        width = config.port_bytes
        per_row: float = ceil_div(tile.n_count, width)
        without_gap = tile.n_count == self.resident.columns
        beats = tile.k_count * tile.n_count / width if without_gap else tile.k_count * per_row
        if not without_gap and self.resident.columns % width:
            # Rows begin anywhere in a beat: on average nearly one more is touched.
            beats = tile.k_count * (tile.n_count + width - 1) / width
        bytes_read = beats * width
        if plan.group_log2:
            lane_columns = config.lanes >> plan.group_log2
            run = lane_columns == tile.n_count and without_gap
            together = min(config.port_bytes // lane_columns, config.pes) if run else 1
            return max(tile.k_count / together, beats_cycles(config, beats)), bytes_read
        if (without_gap and tile.n_count == config.lanes and config.words_per_beat == 2
                and plan.pk_log2 == config.pe_bits):
            per_row = 0.5  # rows of one word: two in a beat
        split = 1.5 if plan.slice_words > 1 and plan.slice_words % 2 and config.words_per_beat == 2 else 1
        return max(tile.k_count * per_row * split, beats_cycles(config, beats)), bytes_read

    def _packed_load(self, tile: Tile, packer: float) -> tuple[float, float]:
        """Cycles and bytes; `packer`: what it needs for this tile's rows."""
        tokens = self.config.tile_beat_tokens
        operand = self.resident.operand
        if not operand.sparse:
            bytes_read = tile.k_count * tile.n_count
            fetch = tile.k_count * ceil_div(tile.n_count, tokens)
            return max(fetch, packer), bytes_read
        share = tile.k_count / max(1, self.resident.inner)
        entries = operand.entries * share  # all of the rows', whatever the column block
        size = 3 if self.resident.columns <= INDEX16_COLUMNS else 5
        return max(entries / tokens, packer), entries * size + 4 * tile.k_count
