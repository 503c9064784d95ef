"""Jobs with CSR results, each on the result before, which stays in the array's memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hdl.config import Config

from .bound import Bound, elementwise_bound
from .elementwise import (
    Elementwise,
    ElementwiseLowering,
    ElementwisePlan,
    StoredCsr,
    as_link,
    build_elementwise,
    describe,
    plan_elementwise,
)
from .operands import Operand, nonzero_products
from .plan import Plan
from .problem import Problem
from .runtime import Image, build_image
from .squeeze import Squeezed

__all__ = ["Chain"]


@dataclass(frozen=True)
class _Step:
    image: Image
    plan: Plan | ElementwisePlan
    fields: dict[str, Any] | None = None        # of a descriptor that is still to be written
    before: StoredCsr | None = None             # what B is


@dataclass
class Chain:
    """Lays jobs out one behind the other; `begin` or `begin_product`, then any number of `link`.

    Attributes
    ----------
    shape, dtype : of the result
    """

    config: Config
    memory_bytes: int
    shape: tuple[int, int] = (0, 0)
    dtype: npt.DTypeLike = np.int32
    _steps: list[_Step] = field(default_factory=list)
    _operands: list[Operand] = field(default_factory=list)
    _kernel: str = ""
    _host: list[str] = field(default_factory=list)
    _left: StoredCsr | None = None
    _products: int = 0

    @property
    def used_bytes(self) -> int:
        """Memory that all jobs together need."""
        return max((step.image.used_bytes for step in self._steps), default=0)

    def begin(self, problem: Elementwise) -> None:
        """The first job merges two operands."""
        self._kernel = problem.kernel
        if isinstance(problem.b, Operand):
            self._operands.append(problem.b)
        self._add(problem)

    def begin_product(self, problem: Problem, plan: Plan | None, squeezed: Squeezed | None = None) -> None:
        """The first job is a product in CSR, run as `squeezed` if there is one; `plan` None: it has no
        elements."""
        self._kernel, self.shape = "masked SpGEMM", (problem.rows, problem.columns)
        self._operands += [problem.a, problem.b]
        self._products = nonzero_products(problem.a, problem.b)
        self._left = StoredCsr(self.shape, 0, 0, {})
        if squeezed is not None:
            problem = squeezed.problem
            self._host += squeezed.notes
        if plan is not None:
            image = build_image(problem, plan, self.memory_bytes)
            self._steps.append(_Step(image, plan))
            self._left = StoredCsr(self.shape, problem.entries, image.c_address, image.csr)

    def link(self, operation: str, operand: Any, name: str, **options: Any) -> None:
        """A further job: what is there, and `operand`. Raises OperandError."""
        assert self._left is not None
        self._add(as_link(operation, operand, self._left, name, **options))

    def _add(self, problem: Elementwise) -> None:
        self.shape, self.dtype = problem.shape, np.int8 if problem.out_int8 else np.int32
        self._operands.append(problem.a)
        self._host += problem.host
        if not all(self.shape):
            self._left = StoredCsr(self.shape, 0, 0, {})
            return
        image, fields = build_elementwise(problem, self.config, self.memory_bytes, self.used_bytes)
        before = problem.b if isinstance(problem.b, StoredCsr) else None
        self._steps.append(_Step(image, plan_elementwise(problem, self.config), fields, before))
        self._left = StoredCsr(self.shape, problem.entries, image.c_address, image.csr)

    def images(self, read: Callable[[int, int], bytes]) -> Iterator[tuple[Image, Plan | ElementwisePlan]]:
        """Every job when the one before has run, of which `read(address, length)` tells the entries."""
        for step in self._steps:
            if step.fields is not None:
                fields = step.fields
                if step.before is not None:
                    last = step.before.csr["c_pointers"] + 4 * self.shape[0]
                    fields = fields | step.before.fields(int.from_bytes(read(last, 4), "little"))
                describe(step.image, fields)
            yield step.image, step.plan

    def bound(self, entries: int) -> Bound:
        """Every operand once, and a result of so many entries once; and a product's pairs of nonzeros."""
        sizes = [operand.stream_bytes() for operand in self._operands]
        result = elementwise_bound(self.config, sizes[-1], sum(sizes[:-1]), self.shape[0], entries,
                                   out_bytes=np.dtype(self.dtype).itemsize)
        products = self._products / self.config.total_lanes
        return replace(result, token_cycles=products, product_cycles=products)

    def lowering(self) -> ElementwiseLowering:
        """What was recognised, and what the host did."""
        return ElementwiseLowering(self._kernel, self.shape, sum(one.nonzeros for one in self._operands),
                                   len(self._operands), tuple(self._host))
