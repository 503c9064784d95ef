"""The array as a Python object: `Device().matmul(a, b)`."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from hdl.config import Config
from hdl.registers import WATCHDOG_CYCLES
from sim import golden
from sim.trace import TRACE_FILE, TracedTop, traced_activities
from sim.transport import Transport, open_simulator

from .array_control import ArrayControl
from .array_registers import check_array
from .bound import bound, csr_bound
from .config_file import config_by_preset
from .csr_chain import Chain
from .elementwise import ElementwiseLowering, as_elementwise
from .job import DeviceError, Job, finished_job, job_of_steps, job_without_array
from .kernels import lower_embedding_bag, lower_gemv
from .lowering import Lowering, lower
from .operands import OperandError
from .plan import Plan
from .planner import make_plan
from .planner import plans as all_plans
from .problem import Problem, as_problem
from .runtime import Image, build_image, read_csr, unpack_result
from .sddmm import (
    SddmmPlan,
    as_sddmm,
    build_sddmm_image,
    make_sddmm_plan,
    sddmm_bound,
    sddmm_host,
    sddmm_result,
)
from .squeeze import squeeze
from .subscripts import is_elementwise_product
from .timeline import Activity, read_trace

__all__ = ["Device", "DeviceError", "expected_result"]

LARGEST_MEMORY_BYTES = 1 << 31
_SMALLEST_MEMORY_BYTES = 1 << 20

_log = logging.getLogger(__name__)


def expected_result(a: Any, b: Any, *, bias: Any = None, scale: Any = None, relu: bool = False,
                    out_dtype: npt.DTypeLike = np.int32, out: str = "dense") -> Any:
    """What `Device.matmul` must return for the same arguments, by the golden model."""
    problem = as_problem(a, b, bias=bias, scale=scale, relu=relu, out_dtype=out_dtype, out=out)
    if not problem.csr:
        return _golden(problem)
    words = problem.row_scale if problem.row_scale is not None else problem.scale
    return golden.sparse_matmul(problem.a.stored, problem.b.stored, words, problem.relu,
                                np.int8 if problem.out_int8 else np.int32, problem.drops_zeros)


def _golden(problem: Problem) -> npt.NDArray:
    def by_side(row: npt.NDArray | None, column: npt.NDArray | None, otherwise: int | None) -> Any:
        if row is not None:
            return row[:, None]
        return column[None, :] if column is not None else otherwise

    bias = by_side(problem.row_bias, problem.column_bias, None)
    words = by_side(problem.row_scale, problem.column_scale, problem.scale)
    result = golden.matmul(problem.a.stored, problem.b.stored, bias, words, problem.relu,
                           np.int8 if problem.out_int8 else np.int32)
    return result.reshape(problem.result_shape)


class Device:
    """One array, simulated or real; a context manager.

    Parameters
    ----------
    config : Config or the name of a preset
    simulator : a simulator's name as `sim.transport.open_simulator` takes it, or a Transport to an array of
        this configuration (then `latency_cycles`, `gaps`, `seed` and `memory_bytes` have no effect)
    memory_bytes : of the simulated array; None lets it grow with what jobs need, up to 2 GiB
    latency_cycles, gaps, seed : of the simulated memory
    watchdog_cycles : a job in which nothing moves for so long is given up; 0: never
    progress : is told in words what takes long, and of what an earlier job or host left behind
    trace : simulate with a probe that `activity` reads; Verilator or Icarus only, somewhat slower

    Attributes
    ----------
    last_job : Job of the last product, or None
    last_lowering : how the last `einsum`, `gemv`, `residual` or `embedding_bag` became a product, or None
    """

    def __init__(self, config: Config | str = "base", simulator: str | Transport = "auto", *,
                 memory_bytes: int | None = None, latency_cycles: int = 32, gaps: float = 0.0, seed: int = 0,
                 watchdog_cycles: int = WATCHDOG_CYCLES, progress: Callable[[str], None] | None = None,
                 trace: bool = False):
        if not 0 <= watchdog_cycles < 1 << 32:
            raise ValueError(f"watchdog_cycles = {watchdog_cycles}; it must be 0 to {(1 << 32) - 1}")
        self.config = config_by_preset(config) if isinstance(config, str) else config
        self.last_job: Job | None = None
        self.last_lowering: Lowering | ElementwiseLowering | None = None
        self._name = simulator if isinstance(simulator, str) else ""
        self._memory_bytes = memory_bytes
        self._watchdog_cycles = watchdog_cycles
        self._settings: dict[str, Any] = {"latency_cycles": latency_cycles, "gaps": gaps, "seed": seed,
                                          "report": progress}
        self._traced = trace
        if trace:
            self._settings["design"] = TracedTop
        self._progress = progress or _log.info
        self._transport: Transport | None = None
        self._control: ArrayControl | None = None
        if not isinstance(simulator, str):
            self._use(simulator)
        self._grows = isinstance(simulator, str) and memory_bytes is None

    # ---- life ----------------------------------------------------------------------------------------

    @property
    def simulator(self) -> str:
        """Name of what runs the array (before the first job: of what was asked for)."""
        return getattr(self._transport, "simulator", self._name)

    @property
    def transport(self) -> Transport | None:
        """The open way to the array, if any."""
        return self._transport

    def close(self) -> None:
        """End the simulator; a transport that was handed over is closed, too. May be called twice."""
        if self._transport is not None:
            self._transport.close()
            self._transport = self._control = None

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _use(self, transport: Transport) -> None:
        """Refuse an array that is not of this configuration, or whose interface is another; what its last
        host left running on it ends."""
        self._transport = transport
        check_array(transport, self.config)
        self._control = ArrayControl(transport, self._watchdog_cycles, self._progress)
        self._control.take_over()

    def _transport_with(self, needed_bytes: int) -> Transport:
        if self._transport is not None and self._transport.broken is not None and self._name:
            self._progress(f"{self._transport.broken}; it is started anew")
            self.close()
        if self._transport is not None and self._grows and self._transport.memory_bytes < needed_bytes:
            self.close()
        if self._transport is None:
            if not self._name:
                raise DeviceError("the device is closed")
            room = self._memory_bytes or max(_SMALLEST_MEMORY_BYTES, 1 << (needed_bytes - 1).bit_length())
            self._use(open_simulator(self._name, self.config, memory_bytes=room, **self._settings))
        assert self._transport is not None
        return self._transport

    def _memory_limit(self) -> int:
        if self._grows:
            return LARGEST_MEMORY_BYTES
        return self._transport.memory_bytes if self._transport else self._memory_bytes or LARGEST_MEMORY_BYTES

    # ---- work ----------------------------------------------------------------------------------------

    def plans(self, a: Any, b: Any, *, keep_order: bool = False, **options: Any) -> list[Plan]:
        """Every plan that is worth a look, cheapest first; options as of `matmul`."""
        return all_plans(as_problem(a, b, **options), self.config, keep_order=keep_order)

    def matmul(self, a: Any, b: Any, *, bias: Any = None, scale: Any = None, relu: bool = False,
               out_dtype: npt.DTypeLike = np.int32, plan: Plan | None = None,
               keep_order: bool = False, out: str = "dense", capacity: int | None = None) -> Any:
        """a @ b on the array, shapes as NumPy's `@` has them.

        Parameters
        ----------
        a, b : int8; NumPy arrays or SciPy sparse matrices of any format, of one or two dimensions. CSR is
            taken as it is: unsorted columns, duplicates and stored zeros are fine.
        bias : int32, added to the sums: one number, one a column (N,) or (1, N), or one a row (M, 1)
        scale : only for int8: the factor sums are multiplied by, shaped like `bias`
        relu : negative sums become zero, before scaling
        out_dtype : int32 (sums wrap), or int8 (rounded to nearest, saturated)
        plan : one of `plans`, else the cheapest (of a CSR result of two sparse operands without the rows of
            both in which nothing meets, see `squeeze`)
        keep_order : only plans in which `a` streams and `b` rests: the host transposes no operand
        out : "dense", or "csr": a csr_array with sorted columns. Of two sparse operands its entries are the
            places where nonzeros meet, a sum that cancels to zero included, as SciPy has it (zeros that an
            operand stores make none); with a dense operand what is not zero.
        capacity : entries that a CSR result gets room for; as many as it can have if nothing is said

        Raises OperandError for what cannot be multiplied or does not fit, DeviceError for what the array
        reports, and the transport's errors.
        """
        problem = as_problem(a, b, bias=bias, scale=scale, relu=relu, out_dtype=out_dtype, out=out,
                             capacity=capacity)
        self.last_job = self.last_lowering = None
        if not problem.rows or not problem.columns:
            self.last_job = job_without_array(bound(self.config, problem.a, problem.b,
                                                    out_bytes=problem.out_bytes))
            empty = np.zeros(problem.result_shape, np.int8 if problem.out_int8 else np.int32)
            return sp.csr_array(empty) if problem.csr else empty
        asked, squeezed = problem, squeeze(problem) if plan is None else None
        if squeezed:
            problem = squeezed.problem
        if plan is None:
            plan = make_plan(problem, self.config, keep_order=keep_order)
        self._check_plan(plan)
        image = build_image(problem, plan, self._memory_limit())
        transport, overflow = self._run_image(image, plan.cycles)
        if problem.csr:
            result = read_csr(problem.result_shape, image, transport.read_memory)
            if squeezed:
                result = squeezed.widen(result, asked.rows)
            job_bound = csr_bound(self.config, asked.a, asked.b, result.nnz, out_bytes=problem.out_bytes)
        else:
            content = transport.read_memory(image.c_address, image.c_bytes)
            result = unpack_result(problem, plan, image, content)
            job_bound = bound(self.config, problem.a, problem.b, out_bytes=problem.out_bytes)
        self.last_job = finished_job(transport, self.config, plan, job_bound, image.used_bytes,
                                     image.descriptor_count, overflow, squeezed.notes if squeezed else ())
        return result

    def add(self, a: Any, b: Any, *others: Any, **options: Any) -> sp.csr_array:
        """a + b + others of one shape, as a csr_array with sorted columns and without zeros, as SciPy's.

        Parameters
        ----------
        a, b, others : int8, SciPy sparse matrices or NumPy arrays; one of a and b may be sparse int32. CSR
            is taken as it is where its columns are sorted and without duplicates, else the host sorts a copy
        scale, relu, out_dtype, capacity : as of `matmul`, for the result; a scale is one number, or one a row

        Each further operand is a job of its own on the result before, which stays in the array's memory. Sums
        are int32 and wrap. Raises OperandError, DeviceError and the transport's errors, as `matmul`.
        """
        return self._elementwise("add", a, b, *others, **options)

    def subtract(self, a: Any, b: Any, *others: Any, **options: Any) -> sp.csr_array:
        """a - b - others; `a` may be sparse int32. See `add`."""
        return self._elementwise("subtract", a, b, *others, **options)

    def multiply(self, a: Any, b: Any, **options: Any) -> sp.csr_array:
        """a * b element by element, int8 both; see `add`."""
        return self._elementwise("multiply", a, b, **options)

    def mask(self, a: Any, b: Any, **options: Any) -> sp.csr_array:
        """The entries of `a`, which may be sparse int32, where `b` is not zero; see `add`."""
        return self._elementwise("mask", a, b, **options)

    def to_csr(self, a: Any, **options: Any) -> sp.csr_array:
        """`a`, dense or sparse, as a csr_array without zeros, by the array; see `add`."""
        return self._elementwise("convert", a, None, **options)

    def to_dense(self, a: Any, *, out_dtype: npt.DTypeLike = np.int8) -> npt.NDArray:
        """`a`, sparse int8 of two dimensions, as a NumPy array, by the array: its product with the identity.

        Duplicates add up; as int8 a sum of them saturates. Raises as `matmul` does.
        """
        if not sp.issparse(a) or a.ndim != 2:
            raise OperandError("a is no sparse matrix; to_dense converts these")
        scaled = {"scale": 1.0} if np.dtype(out_dtype) == np.int8 else {}
        identity = sp.csr_array(sp.eye_array(a.shape[1], dtype=np.int8))
        return self._lowered(Lowering("to dense", a, identity, lambda result: result, keeps_order=True),
                             out_dtype=out_dtype, **scaled)

    def spgemm(self, a: Any, b: Any, *, mask: Any = None, **options: Any) -> sp.csr_array:
        """a @ b of two sparse matrices as a csr_array; options as of `matmul`.

        With `mask`, sparse or dense int8, only the entries where it is not zero: a second job takes them from
        the product in the array's memory. Of these a sum that cancelled is none. `capacity` is then of the
        result.
        """
        for name, value in (("a", a), ("b", b)):
            if not sp.issparse(value):
                raise OperandError(f"{name} is dense; spgemm multiplies sparse matrices (matmul with "
                                   "out='csr' makes CSR of a dense operand, too)")
        if mask is not None:
            return self._masked(a, b, mask, **options)
        return self._lowered(Lowering("SpGEMM", a, b, lambda result: result, csr=True), **options)

    def sddmm(self, s: Any, a: Any, b: Any, *, plan: SddmmPlan | None = None) -> sp.csr_array:
        """s ∘ (a @ b), in int32 (sums and products wrap), as a csr_array with the entries of s.

        Parameters
        ----------
        s : sparse (M, N), bool or int8; CSR is taken as it is. Its values multiply the results; where all of
            them are 1 they are not read. A result of zero stays an entry.
        a, b : dense int8 (M, K) and (K, N). Rows of bᵀ are what the array works on: of b in Fortran order
            nothing is copied.
        plan : one of `sddmm_plans`, else the cheapest

        The result shares its index arrays with s (if that is CSR). Raises as `matmul` does.
        """
        problem = as_sddmm(s, a, b)
        self.last_job = None
        self.last_lowering = Lowering("SDDMM", a, b, lambda result: result, sddmm_host(s, a, b), csr=True,
                                      places=s)
        if not problem.s.entries or not problem.inner:
            self.last_job = job_without_array(sddmm_bound(self.config, problem))
            return sddmm_result(problem, np.zeros(problem.s.entries, np.int32))
        if plan is None:
            plan = make_sddmm_plan(problem, self.config)
        self._check_plan(plan)
        image = build_sddmm_image(problem, plan, self._memory_limit())
        transport, overflow = self._run_image(image, plan.cycles)
        content = transport.read_memory(image.c_address, image.c_bytes)
        values = np.frombuffer(bytearray(content), "<i4").astype(np.int32, copy=False)
        self.last_job = finished_job(transport, self.config, plan, sddmm_bound(self.config, problem),
                                     image.used_bytes, image.descriptor_count, overflow)
        return sddmm_result(problem, values)

    def _lowered(self, lowering: Lowering, **options: Any) -> Any:
        if lowering.places is not None:
            return self.sddmm(lowering.places, lowering.left, lowering.right)
        result = self.matmul(lowering.left, lowering.right, bias=lowering.bias,
                             keep_order=lowering.keeps_order, out="csr" if lowering.csr else "dense",
                             **options)
        self.last_lowering = lowering
        return lowering.finish(result)

    def _elementwise(self, operation: str, a: Any, b: Any, *others: Any, **options: Any) -> sp.csr_array:
        chain = Chain(self.config, self._memory_limit())
        chain.begin(as_elementwise(operation, a, b, **({} if others else options)))
        for number, other in enumerate(others):
            last = options if number == len(others) - 1 else {}
            chain.link(operation, other, f"operand {number + 2}", **last)
        return self._run_chain(chain)

    def _masked(self, a: Any, b: Any, mask: Any, *, plan: Plan | None = None, keep_order: bool = False,
                **options: Any) -> sp.csr_array:
        problem = as_problem(a, b, out="csr")
        chain = Chain(self.config, self._memory_limit())
        if plan is None and all(problem.result_shape):
            # The next job takes all row pointers from the array's memory.
            squeezed = squeeze(problem, rows=False)
            plan = make_plan(squeezed.problem if squeezed else problem, self.config, keep_order=keep_order)
        else:
            squeezed = None
        if plan is not None:
            self._check_plan(plan)
        chain.begin_product(problem, plan, squeezed)
        chain.link("mask", mask, "mask", **options)
        return self._run_chain(chain)

    def _run_chain(self, chain: Chain) -> sp.csr_array:
        """Job after job on the result before; the host reads the last one, and of others how many entries."""
        self.last_job, self.last_lowering = None, chain.lowering()
        if not all(chain.shape):
            self.last_job = job_without_array(chain.bound(0))
            return sp.csr_array(chain.shape, dtype=chain.dtype)
        transport = self._transport_with(chain.used_bytes)
        jobs = []
        for image, plan in chain.images(transport.read_memory):
            overflow = self._open().run(image, plan.cycles)
            jobs.append(finished_job(transport, self.config, plan, chain.bound(0), image.used_bytes,
                                     image.descriptor_count, overflow))
        result = read_csr(chain.shape, image, transport.read_memory)
        self.last_job = job_of_steps(jobs, chain.bound(result.nnz))
        return result

    def einsum(self, subscripts: str, *operands: Any, out: str = "dense") -> Any:
        """What `numpy.einsum` makes of the same arguments, in int32 (sums wrap), as one product on the array.

        See `zerolane.lower` for operands and errors; `explain` tells what the host had to do. With `out`
        "csr" the result is a csr_array, see `matmul`; so it always is of an elementwise product, "ij,ij->ij".
        """
        if is_elementwise_product(subscripts):
            return self.multiply(*operands)
        return self._lowered(lower(subscripts, *operands, out=out))

    def gemv(self, a: Any, x: Any, *, alpha: int = 1, beta: int = 0, b: Any = None,
             transpose: bool = False) -> npt.NDArray:
        """alpha·a@x + beta·b, or with aᵀ, exact in int32 (sums wrap); see `kernels.lower_gemv`."""
        return self._lowered(lower_gemv(a, x, alpha=alpha, beta=beta, b=b, transpose=transpose))

    def residual(self, a: Any, x: Any, b: Any) -> npt.NDArray:
        """b - a@x, exact in int32 (sums wrap); see `kernels.lower_gemv`."""
        return self._lowered(lower_gemv(a, x, alpha=-1, beta=1, b=b))

    def embedding_bag(self, indices: Any, offsets: Any, table: Any, *, mode: str = "sum",
                      per_sample_weights: Any = None, include_last_offset: bool = False) -> npt.NDArray:
        """Sums (int32) or means (int8) of rows of `table`, bag by bag, as PyTorch's EmbeddingBag.

        See `kernels.lower_embedding_bag`.
        """
        bags = lower_embedding_bag(indices, offsets, table, mode=mode, per_sample_weights=per_sample_weights,
                                   include_last_offset=include_last_offset)
        return self._lowered(bags.lowering, **bags.options)

    def explain(self) -> str:
        """How the last product was arrived at, its plan, measurements and counters, in words."""
        if not self.last_job:
            return "No job has run."
        lines = [self.last_lowering.explain()] if self.last_lowering else []
        return "\n".join([*lines, self.last_job.explain()])

    def activity(self) -> Activity:
        """What each part of the array did in each cycle of the last job, of a device made with `trace`."""
        directory = getattr(self._transport, "directory", None)
        if not self._traced or directory is None or self.last_job is None or self.last_job.plan is None:
            raise DeviceError("there is no trace: it takes a device made with trace=True, Verilator or "
                              "Icarus, and a job")
        return read_trace(directory / TRACE_FILE, traced_activities(self.config))

    def abort(self) -> None:
        """End the running job, if one runs, with error ABORTED; for another thread than that of `matmul`.

        What the array has asked the memory for is brought to its end first. Simulators cannot be shared by
        threads.
        """
        self._open().abort()

    def reset(self) -> None:
        """End the running job, if one runs, and forget it; the array is as new but for its settings.

        `matmul` does this by itself when its job is broken off, as by a timeout or by Ctrl-C. DeviceError
        when the memory does not complete what the array has asked it for.
        """
        self._open().reset()

    def _open(self) -> ArrayControl:
        if self._control is None:
            raise DeviceError("the device is closed" if not self._name else "no job has run on the device")
        return self._control

    def _check_plan(self, plan: Plan) -> None:
        """DeviceError for a plan of another configuration."""
        if plan.config != self.config:
            raise DeviceError(f"the plan was made for configuration {plan.config.name!r}, "
                              f"the device has {self.config.name!r}")

    def _run_image(self, image: Image, cycles: float) -> tuple[Transport, bool]:
        """Run a job alone in memory; whether a sum wrapped."""
        transport = self._transport_with(image.used_bytes)
        return transport, self._open().run(image, cycles)
