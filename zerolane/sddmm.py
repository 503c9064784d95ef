"""SDDMM: the product of two dense matrices, at the places of a sparse one: C = S ∘ (A·B)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from hdl.config import Config
from hdl.descriptor import DESCRIPTOR_BYTES, Opcode
from hdl.layouts import BFormat

from .bound import Bound
from .cost import Streamed, TileCost, beats_cycles, by_owner, ceil_div, schedule_cycles
from .operands import Operand, OperandError, as_operand
from .plan import MOST_DESCRIPTORS, Plan, PlanError, Tile
from .runtime import Image, a_fields, check_room, pack_descriptor, place_matrix

__all__ = ["SddmmPlan", "SddmmProblem", "as_sddmm", "build_sddmm_image", "make_sddmm_plan", "sddmm_bound",
           "sddmm_host", "sddmm_plans", "sddmm_result"]

_SUM_BYTES = 4
_SHOWN_ALTERNATIVES = 4


@dataclass(frozen=True, eq=False)
class SddmmProblem:
    """C = S ∘ (A·B), checked.

    Attributes
    ----------
    s : Operand, M×N CSR; a : Operand, M×K dense; bt : Operand, Bᵀ, N×K dense
    pattern : every stored value of S is 1, so that none need be read
    """

    s: Operand
    a: Operand
    bt: Operand
    pattern: bool

    @property
    def inner(self) -> int:
        return self.a.shape[1]

    @property
    def s_bytes(self) -> int:
        """Row pointers, column indices and, unless all are 1, values."""
        return self.s.stream_bytes() - (self.s.entries if self.pattern else 0)


@dataclass(frozen=True)
class SddmmPlan(Plan):
    """One legal way to run an SDDMM.

    In the terms of a product S streams, Bᵀ rests: `shape` is (M, N, K), `k_cuts` cut N and column blocks are
    blocks of K. Every descriptor adds to the same sums.
    """

    def words_of(self, tile: Tile) -> int:
        """Words of a slice of this tile: no more than it needs, as the array wants it."""
        return ceil_div(ceil_div(tile.n_count, self.config.lanes), self.config.pes >> self.pk_log2)

    def label(self) -> str:
        owners, slices = 1 << self.pk_log2, self.config.pes >> self.pk_log2
        blocks, parts = ceil_div(self.columns, self.block_columns), len(self.k_cuts) - 1
        return (f"S and A stream, B^T rests; {owners} x {slices} PEs; {blocks} block{'s' * (blocks > 1)} of "
                f"{min(self.block_columns, self.columns)} of K, {parts} part{'s' * (parts > 1)} of N")


def as_sddmm(s: Any, a: Any, b: Any) -> SddmmProblem:
    """Check what `Device.sddmm` takes; see there. Raises OperandError."""
    if not sp.issparse(s):
        raise OperandError("s is dense; it must be sparse: with all places wanted it is a product, "
                           "s * matmul(a, b)")
    if s.dtype == np.bool_:
        # The same bytes: True is 1.
        matrix = s if s.format == "csr" else sp.csr_array(s)
        s = sp.csr_array((matrix.data.view(np.int8), matrix.indices, matrix.indptr), shape=matrix.shape)
    sampled = as_operand(s, "s")
    for name, value in (("a", a), ("b", b)):
        if sp.issparse(value):
            raise OperandError(f"{name} is sparse; sddmm samples a product of two dense matrices (of sparse "
                               "ones spgemm makes the product)")
        if getattr(value, "ndim", 2) != 2:
            raise OperandError(f"{name} has {value.ndim} dimensions; it must be a matrix")
    left = as_operand(a, "a")
    right = as_operand(b.T if isinstance(b, np.ndarray) else b, "b")
    rows, columns = sampled.shape
    if left.shape[0] != rows or right.shape[0] != columns or left.shape[1] != right.shape[1]:
        raise OperandError(f"shapes of s, a and b are {s.shape}, {a.shape} and {b.shape}; they must be "
                           "(M, N), (M, K) and (K, N)")
    return SddmmProblem(sampled, left, right, bool((sampled.stored.data == 1).all()))


def sddmm_host(s: Any, a: npt.NDArray, b: npt.NDArray) -> tuple[str, ...]:
    """What the host has to do for operands of these forms, in words."""
    steps = [] if s.format == "csr" else [f"S is converted to CSR ({s.nnz:,} entries)"]
    for text, value in (("A is copied row by row", a), ("B is transposed", np.transpose(b))):
        if not value.flags.c_contiguous:
            steps.append(f"{text} ({value.size:,} values)")
    return tuple(steps)


def sddmm_bound(config: Config, problem: SddmmProblem) -> Bound:
    """The bound for SDDMM: K products for each entry of S over P·V lanes, and S, A, B and C once over W.

    C is its values, int32: its pattern is that of S, which is there. Where B does not fit in the tile memory
    S is read, and partial sums go out and in, once more for every further tile.
    """
    entries, inner = problem.s.entries, problem.inner
    lanes = entries * inner / config.total_lanes
    a_bytes, b_bytes, c_bytes = problem.s_bytes + problem.a.entries, problem.bt.entries, 4 * entries
    passes = max(1, ceil_div(b_bytes, config.tile_bytes))
    again = (passes - 1) * (problem.s_bytes + 2 * c_bytes)
    return Bound(token_cycles=lanes, product_cycles=lanes,
                 memory_cycles=(a_bytes + b_bytes + c_bytes + again) / config.port_bytes, passes=passes,
                 a_bytes=a_bytes, b_bytes=b_bytes, c_bytes=c_bytes)


# ---- plans -----------------------------------------------------------------------------------------------


def make_sddmm_plan(problem: SddmmProblem, config: Config) -> SddmmPlan:
    """The plan with the fewest predicted cycles, with the next best; PlanError where there is none."""
    best, *others = sddmm_plans(problem, config)
    return replace(best, alternatives=tuple(others[:_SHOWN_ALTERNATIVES]))


def sddmm_plans(problem: SddmmProblem, config: Config) -> list[SddmmPlan]:
    """All plans, cheapest first: for every P_k × P_n the largest tiles that fit."""
    if not config.sddmm:
        raise PlanError(f"configuration {config.name!r} has sddmm = False: it cannot sample a product of "
                        "dense matrices")
    found = [_costed(plan, problem) for plan in _cuts(problem, config)
             if plan.descriptors <= MOST_DESCRIPTORS]
    if not found:
        raise PlanError(f"M, N, K = {(*problem.s.shape, problem.inner)} takes more than {MOST_DESCRIPTORS} "
                        f"descriptors on {config.name!r}: cut it in several")
    # Among equals small P_k: then all PEs have the same work.
    return sorted(found, key=lambda plan: (plan.cycles, plan.pk_log2))


def _cuts(problem: SddmmProblem, config: Config) -> Iterator[SddmmPlan]:
    columns, inner = problem.bt.shape
    words = ceil_div(inner, config.lanes)
    for pk_log2 in range(config.pe_bits + 1):
        slices = config.pes >> pk_log2
        if slices > words and pk_log2 < config.pe_bits:
            continue    # slices without a word
        for parts in range(1, columns + 1):
            # Parts of N that leave owners even; then as much of K as fits beside them.
            size = ceil_div(columns, parts)
            size = ceil_div(size, 1 << pk_log2) << pk_log2
            most = min(config.acc_words, config.lane_values // (size >> pk_log2), ceil_div(words, slices))
            if most:
                cuts = (*range(0, columns, size), columns)
                for blocks in range(ceil_div(words, most * slices), ceil_div(words, slices) + 1):
                    # Of an odd number of words the loader makes more beats: it may be worth another block.
                    slice_words = ceil_div(ceil_div(words, blocks), slices)
                    yield SddmmPlan(config, (*problem.s.shape, inner), False, False, False, pk_log2, 0,
                                    slice_words, True, cuts, slice_words * slices * config.lanes)
                    if slice_words == 1 or slice_words % 2 == 0:
                        break
                break


def _costed(plan: SddmmPlan, problem: SddmmProblem) -> SddmmPlan:
    config, streamed = plan.config, Streamed.of(problem.s, transposed=False)
    tiles, entries = plan.tiles(), problem.s.entries
    stretch = 1.0
    if plan.pk_log2:
        words = min(plan.slice_words, ceil_div(plan.columns, config.lanes))
        stretch = streamed.stretch(config, plan.pk_log2, np.full((streamed.inner, 1), words))
    costs = []
    for number, tile in enumerate(tiles):
        counts = streamed.counts[tile.k_start:tile.k_start + tile.k_count]
        walk = by_owner(counts, plan.pk_log2).max(initial=0)
        words = plan.words_of(tile)
        splits = words > 1 and words % 2 and config.words_per_beat == 2
        row_beats = ceil_div(tile.n_count, config.port_bytes) * (1.5 if splits else 1)
        moved = (problem.s_bytes + problem.s.shape[0] * tile.n_count
                 + _SUM_BYTES * entries * (1 if number == 0 else 2))
        load = max(tile.k_count * row_beats,
                   beats_cycles(config, tile.k_count * tile.n_count / config.port_bytes))
        costs.append(TileCost(lanes=float(walk) * words * stretch,
                              fetch=max(entries / config.beat_tokens, problem.s.shape[0] / 2,
                                        problem.s.shape[0] * row_beats),
                              drain=2 * entries / config.lanes, port=moved / config.port_bytes, load=load,
                              load_port=tile.k_count * tile.n_count / config.port_bytes))
    cycles, terms = schedule_cycles(costs, whole=True, config=config)
    return replace(plan, cycles=cycles, terms=terms)


# ---- memory ----------------------------------------------------------------------------------------------


def build_sddmm_image(problem: SddmmProblem, plan: SddmmPlan, memory_bytes: int) -> Image:
    """Lay operands, sums and descriptors out in memory; LayoutError where they need more than there is,
    PlanError if the plan is another product's."""
    if plan.shape != (*problem.s.shape, problem.inner):
        raise PlanError(f"the plan was made for M, N, K = {plan.shape}; these operands have "
                        f"{(*problem.s.shape, problem.inner)}")
    entries, tiles = problem.s.entries, plan.tiles()
    image = Image(c_shape=(entries, 1), c_dtype=np.int32, descriptor_count=len(tiles))
    image.descriptor_address = image.place(len(tiles) * DESCRIPTOR_BYTES)
    group_bytes = plan.config.lanes * _SUM_BYTES
    common = {
        "opcode": Opcode.SDDMM_PATTERN if problem.pattern else Opcode.SDDMM,
        **a_fields(problem.s, place_matrix(image, problem.s, pattern=problem.pattern)),
        "b_format": BFormat.DENSE, "whole": 1, "pk_log2": plan.pk_log2, "rows": problem.s.shape[0],
        "a_stride": problem.inner, "b_stride": problem.inner,
    }
    x_address, b_address = image.put(problem.a.stored), image.put(problem.bt.stored)
    image.c_address = image.place(_SUM_BYTES * entries)
    scratch = image.place(ceil_div(entries, plan.config.lanes) * group_bytes) if len(tiles) > 1 else 0
    content = b""
    for number, tile in enumerate(tiles):
        last = number == len(tiles) - 1
        output = ({"c_address": image.c_address, "c_stride": _SUM_BYTES} if last else
                  {"c_address": scratch, "c_stride": group_bytes, "out_raw": 1})
        earlier = {"accumulate": 1, "cin_address": scratch, "cin_stride": group_bytes} if number else {}
        content += pack_descriptor(common | output | earlier | {
            "k_start": tile.k_start, "k_count": tile.k_count,
            "n_start": tile.n_start, "n_count": tile.n_count, "slice_words": plan.words_of(tile),
            "b_values": b_address + tile.k_start * problem.inner + tile.n_start,
            "x_values": x_address + tile.n_start})
    image.pieces.append((image.descriptor_address, content))
    check_room(image.used_bytes, memory_bytes)
    return image


def sddmm_result(problem: SddmmProblem, values: npt.NDArray[np.int32]) -> sp.csr_array:
    """C as a csr_array: its index arrays are those of S."""
    matrix = problem.s.stored
    result = sp.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)
    result.has_sorted_indices, result.has_canonical_format = (matrix.has_sorted_indices,
                                                              matrix.has_canonical_format)
    return result
