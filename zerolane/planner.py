"""Every legal way to cut a product into descriptors, what each costs, and the cheapest of them."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import chain

import numpy as np

from hdl.config import Config, log2_exact

from .cost import ceil_div
from .packing import Packing
from .plan import MOST_DESCRIPTORS, Plan, PlanError
from .plan_cost import PlanCosts
from .problem import Problem

__all__ = ["make_plan", "plans"]

_SHOWN_ALTERNATIVES = 4
_MOST_CUTS = 12          # ways to cut K that are looked at for one split of the array
_PACKED_DENSITY = 0.75   # above it packing a dense matrix saves nothing
_WORTH_A_LOOK = 2                  # times the best plan's cycles
_FEW_ROWS = 0.9                    # of A, that the column blocks of a CSR result have entries in, on average
_MANY_BLOCKS = 64


def make_plan(problem: Problem, config: Config, *, keep_order: bool = False) -> Plan:
    """The plan with the fewest predicted cycles; its `alternatives` are the next best.

    Raises PlanError where there is none, with the reason.
    """
    ranked = plans(problem, config, keep_order=keep_order)
    return replace(ranked[0], alternatives=tuple(ranked[1:1 + _SHOWN_ALTERNATIVES]))


def plans(problem: Problem, config: Config, *, keep_order: bool = False) -> list[Plan]:
    """All plans that are worth a look, cheapest first; PlanError if there is none.

    With `keep_order` A streams and B rests; else B^T may stream against A^T, both transposed on the host.
    """
    if not problem.rows or not problem.columns:
        raise PlanError(f"a result of shape {problem.result_shape} has no elements: nothing to plan")
    if problem.csr and not config.csr_out:
        raise PlanError(f"configuration {config.name!r} has csr_out = False: it cannot make CSR results")
    if problem.out_int8 and not config.scale_multipliers:
        raise PlanError(f"configuration {config.name!r} has scale_multipliers = 0: "
                        "it cannot make int8 results")
    found: list[Plan] = []
    searches = {}
    # The likelier orientation first: what it costs cuts the search in the other one short.
    stream_b = problem.b.sparse and not problem.a.sparse
    for transposed in (False,) if keep_order or problem.csr else (stream_b, not stream_b):
        row_scale, column_scale = problem.row_scale, problem.column_scale
        if (row_scale if transposed else column_scale) is None:
            best = min((plan.cycles for plan in found), default=math.inf)
            searches[transposed] = _Search(problem, config, transposed, best)
            found += searches[transposed].run()
    found = [plan for plan in found if plan.descriptors <= MOST_DESCRIPTORS]
    if not searches:
        raise PlanError("a scale for each column needs the product turned round (B^T against A^T), which "
                        "a CSR result and keep_order forbid")
    if not found and problem.csr:
        raise PlanError(
            f"K, N = {problem.inner}, {problem.columns}: B does not fit in the tile memory of "
            f"{config.name!r} {'packed ' if problem.b.sparse else ''}as a CSR result needs it, all of K at "
            "once: cut A's columns and B's rows, or ask for a dense result")
    if not found:
        raise PlanError(f"M, K, N = {problem.rows}, {problem.inner}, {problem.columns} takes more than "
                        f"{MOST_DESCRIPTORS} descriptors on {config.name!r}: cut it in several products")
    found.sort(key=lambda plan: (plan.cycles, plan.pk_log2))
    best = math.inf
    for number, plan in enumerate(found):
        if plan.cycles > best:
            break
        found[number] = searches[plan.transposed].costs.refined(plan)
        best = min(best, found[number].cycles)
    # Among equals small P_k: a PE's row queue then holds more rows, which evens out what the rows need.
    found.sort(key=lambda plan: (plan.cycles, plan.transposed, plan.packed, plan.pk_log2))
    return list(dict.fromkeys(found))


class _Search:
    """Plans of one orientation."""

    def __init__(self, problem: Problem, config: Config, transposed: bool, best: float):
        self.problem, self.config, self.transposed, self.best = problem, config, transposed, best
        self.costs = PlanCosts(problem, config, transposed)
        self.streamed, self.resident = self.costs.streamed, self.costs.resident
        self.products = problem.products
        self.inner, self.columns = self.resident.inner, self.resident.columns
        self.words, self.layers = self.costs.words, self.costs.layers

    @cached_property
    def least_rows(self) -> float:
        """Share of A's rows that a column block of a CSR result has entries in, on average, at least."""
        if not (self.streamed.sparse and self.resident.operand.sparse):
            return 1.0
        ranges = self.resident.k_ranges(ceil_div(self.columns, _MANY_BLOCKS))
        rows = [stop - start for start, stop in self.streamed.row_ranges(ranges)]
        return sum(rows) / (len(rows) * self.streamed.rows)

    def run(self) -> Iterator[Plan]:
        config = self.config
        if config.serial:
            # One PE has nothing to split; no tile loads while another computes, so each may take all memory.
            # Of tiles with fewer columns than lanes it knows vectors.
            yield from self._dense(0, config.lane_bits if self.columns == 1 else 0, True)
            return
        for pk_log2 in range(config.pe_bits + 1):
            if config.pes >> pk_log2 > self.words and pk_log2 < config.pe_bits:
                continue  # slices without a column
            for whole in (False, True):
                if self.problem.csr:
                    yield from self._whole(pk_log2, whole)
                    continue
                yield from self._dense(pk_log2, 0, whole)
                if pk_log2 == config.pe_bits and self.columns <= config.lanes // 2:
                    columns = 1 << (self.columns - 1).bit_length()
                    yield from self._dense(pk_log2, config.lane_bits - log2_exact(columns), whole)
                if pk_log2 == config.pe_bits:
                    yield from self._narrow(whole)
                if config.compressed_b and self._may_pack():
                    yield from self._packed(pk_log2, whole)

    def _whole(self, pk_log2: int, whole: bool) -> Iterator[Plan]:
        """For CSR results: all of K. A dense tile would make an entry of every sum."""
        packs = self.config.compressed_b and self._may_pack()
        found = self._packed(pk_log2, whole) if packs else iter(())
        if not self.resident.operand.sparse:
            found = chain(self._dense(pk_log2, 0, whole), found)
        yield from (plan for plan in found if self._is_whole(plan))

    def _is_whole(self, plan: Plan) -> bool:
        """All of K at once."""
        return len(plan.k_cuts) == 2 and plan.layers == 1

    def _may_pack(self) -> bool:
        operand = self.resident.operand
        return operand.sparse or operand.nonzeros <= _PACKED_DENSITY * operand.entries

    # ---- dense tiles ---------------------------------------------------------------------------------

    def _dense(self, pk_log2: int, group_log2: int, whole: bool) -> Iterator[Plan]:
        """One plan for every number of column blocks that some number of parts of K leads to."""
        config = self.config
        slices = config.pes >> pk_log2
        capacity = config.lane_values if whole else config.lane_values // 2
        seen = set()
        parts = 1
        for _ in range(_MOST_CUTS):
            local_rows = max(1, ceil_div(ceil_div(self.inner, parts), 1 << pk_log2 + group_log2))
            most_words = min(config.acc_words, capacity // local_rows, ceil_div(self.words, slices))
            if most_words:
                for slice_words in self._slice_words(most_words, slices, only_largest=whole or parts > 1):
                    blocks = ceil_div(self.words, slice_words * slices)
                    cuts = self._even_cuts(parts, pk_log2, group_log2, capacity // slice_words)
                    grouped = bool(group_log2)  # partial sums of groups are fewer words
                    hopeless = not grouped and self._hopeless(blocks, len(cuts) - 1, packed=False)
                    if (blocks, parts) not in seen and not hopeless:
                        yield self._plan(pk_log2, group_log2, whole, slice_words, cuts)
                    seen.add((blocks, parts))
                if most_words == min(config.acc_words, ceil_div(self.words, slices)):
                    return
            parts = self._next_parts(parts, local_rows, capacity)

    def _narrow(self, whole: bool) -> Iterator[Plan]:
        """Column blocks of less than a word, in group mode, where a tall operand fits in one part only so:
        A is read for each block, but no partial sums go to memory and back."""
        config = self.config
        rows = (config.lane_values if whole else config.lane_values // 2) << config.pe_bits
        group_log2 = max(0, ceil_div(self.inner, rows) - 1).bit_length()
        narrow = config.lanes >> group_log2
        if 0 < group_log2 and 0 < narrow < self.columns and not self._hopeless(
                ceil_div(self.columns, narrow), 1, packed=False):
            yield self._plan(config.pe_bits, group_log2, whole, 1, (0, self.inner))

    def _slice_words(self, most: int, slices: int, *, only_largest: bool) -> Iterator[int]:
        """Words of a slice for as few column blocks of one size as fit, for twice and for four times as many.

        Smaller blocks read A more often, but all tiles but the first load while another computes.
        """
        fewest = ceil_div(self.words, most * slices)
        for blocks in (fewest,) if only_largest else (fewest, 2 * fewest, 4 * fewest):
            yield ceil_div(ceil_div(self.words, blocks), slices)

    def _next_parts(self, parts: int, local_rows: int, capacity: int) -> int:
        """One more, but no fewer than make one word a slice fit."""
        return max(parts + 1 if parts < 4 else parts + parts // 2, parts * local_rows // capacity)

    def _even_cuts(self, parts: int, pk_log2: int, group_log2: int, local_rows: int) -> tuple[int, ...]:
        """Parts of one size, a multiple of what keeps owners even and a dense row's reads aligned."""
        most = (local_rows << group_log2) << pk_log2
        unit = max(1 << pk_log2, self.config.port_bytes)
        size = max(1, ceil_div(self.inner, parts))
        size = min(ceil_div(size, unit) * unit, most)
        return (*range(0, max(1, self.inner), size), self.inner)

    # ---- packed tiles --------------------------------------------------------------------------------

    def _packed(self, pk_log2: int, whole: bool) -> Iterator[Plan]:
        config = self.config
        slices = config.pes >> pk_log2
        packing = Packing(config, self.resident, pk_log2, 1, whole)
        parts = 1 if self.problem.csr else max(1, ceil_div(self.inner, packing.most_rows))
        for slice_words in self._packed_words(slices):
            if self._hopeless(ceil_div(self.words, slice_words * slices), parts, packed=True):
                return
            packing = replace(packing, slice_words=slice_words)
            lengths, ranges = packing.lengths, packing.ranges()
            if ranges is not None and (ranges or self.problem.csr):
                yield self._plan(pk_log2, 0, whole, slice_words, (0, self.inner), lengths, ranges)
            cuts = None if self.problem.csr else packing.cuts()
            if cuts is not None:
                yield self._plan(pk_log2, 0, whole, slice_words, cuts, lengths)
                if len(cuts) == 2:
                    return

    def _packed_words(self, slices: int) -> Iterator[int]:
        """Words of a slice, fewer and fewer. Of a CSR result each block costs two passes: as few blocks of
        one size as there can be, then more."""
        most = min(self.config.acc_words, ceil_div(self.words, slices))
        if not self.problem.csr:
            yield from (1 << bits for bits in reversed(range((most - 1).bit_length() + 1)))
            return
        blocks, before = ceil_div(self.words, most * slices), 0
        while before != 1:
            words = ceil_div(ceil_div(self.words, blocks), slices)
            if words != before:
                yield words
            before = words
            blocks += max(1, blocks // 4)

    # ---- cost ----------------------------------------------------------------------------------------

    def _hopeless(self, blocks: int, parts: int, *, packed: bool) -> bool:
        """Whether so many column blocks and parts of K cost far more than the best plan so far at least."""
        if blocks * parts * self.layers > MOST_DESCRIPTORS:
            return True
        config, streamed, operand = self.config, self.streamed, self.resident.operand
        again: float = blocks * (parts if streamed.sparse else 1)
        if self.problem.csr and blocks > 1:
            again = 3 + (2 * blocks - 3) * self.least_rows
        if packed:
            lanes = self.products / config.total_lanes
            # A cycle a row, and the slots; blocks of a CSR result may load part of the rows only.
            load = (1 if self.problem.csr else blocks) * self.inner + operand.nonzeros / config.lanes
            tile_bytes = blocks * 3 * operand.entries if operand.sparse else self.inner * self.columns
        else:
            lanes = streamed.nonzeros * self.words / config.pes
            load = tile_bytes = self.inner * self.columns * self.layers
            load = load / config.port_bytes
        moved: float = again * streamed.bytes_of(self.inner) + tile_bytes
        partial_sums = streamed.rows * self.words * config.lanes * 4
        if self.problem.csr:
            moved += (self.costs.sample.entries if packed else 0) * (4 + self.problem.out_bytes)
        else:
            moved += streamed.rows * self.columns * self.problem.out_bytes + 2 * (parts - 1) * partial_sums
        fetch = again * streamed.fetch_cycles(config, self.inner)
        return max(lanes, load, fetch, moved / config.port_bytes) > _WORTH_A_LOOK * self.best

    def _plan(self, pk_log2: int, group_log2: int, whole: bool, slice_words: int, cuts: tuple[int, ...],
              lengths: np.ndarray | None = None, k_ranges: tuple[tuple[int, int], ...] = ()) -> Plan:
        config, problem = self.config, self.problem
        block_columns = config.lanes >> group_log2 if group_log2 else (
            slice_words * (config.pes >> pk_log2) * config.lanes)
        packed = lengths is not None
        plan = Plan(config, (problem.rows, problem.inner, problem.columns), self.transposed, packed,
                    self.resident.operand.sparse and not packed, pk_log2, group_log2, slice_words, whole,
                    cuts, block_columns, self.layers, self.problem.csr, k_ranges)
        if plan.counts_first and k_ranges and self.streamed.sparse:
            plan = self._with_row_ranges(plan)
        if problem.csr and not self._is_whole(plan):
            return plan     # not one to run
        plan = self.costs.first_look(plan, lengths)
        self.best = min(self.best, plan.cycles)
        return plan

    def _with_row_ranges(self, plan: Plan) -> Plan:
        """Of a banded matrix few rows of A meet those of B that a column block has entries in."""
        ranges = self.streamed.row_ranges(plan.k_ranges)
        share = sum(stop - start for start, stop in ranges) / (len(ranges) * self.streamed.rows)
        return replace(plan, row_ranges=ranges) if share < _FEW_ROWS else plan
