"""SDDMM: a product of dense matrices at the places of a sparse one, of every shape and plan, and wrong."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import scipy.sparse as sp

from hdl.descriptor import DESCRIPTOR_BYTES
from hdl.registers import ErrorCode
from sim import golden
from zerolane import runtime
from zerolane.device import expected_result
from zerolane.scaling import scale_words
from zerolane.sddmm import SddmmPlan, SddmmProblem, as_sddmm, build_sddmm_image, sddmm_plans

from .images import content_of, edited, fields_of
from .malformed import OUTSIDE
from .session import MEMORY_BYTES, STORAGE_BYTES, Session

__all__ = ["check_samples", "draw_samples", "sample_faults", "sample_image", "sampled_lists", "samples"]

SCALE = 0.003
EVERYTHING = 1 << 16


def _refuses(session: Session) -> bool:
    """Whether the array samples nothing; then it says so."""
    if session.config.sddmm:
        return False
    a, b = session.matrix(4, 20, 0.5, "csr"), session.matrix(20, 6, 0.9, "dense")
    for opcode in (2, 3):
        assert session.run(edited(session.image(a, b), 0, opcode=opcode)) & 0xFF == ErrorCode.OPCODE
    return True


def _dense(session: Session, rows: int, columns: int) -> np.ndarray:
    return session.rng.integers(-128, 128, (rows, columns)).astype(np.int8)


def draw_samples(session: Session, s: Any, inner: int) -> SddmmProblem:
    """At the places of `s`, of dense matrices by chance."""
    return as_sddmm(s, _dense(session, s.shape[0], inner), _dense(session, inner, s.shape[1]))


def _problems(session: Session) -> Iterator[SddmmProblem]:
    """Rows that are empty, at both ends, full, or of one entry; patterns; extremes; one element."""
    def places(rows: int, columns: int, density: float, form: str = "csr") -> Any:
        return sp.csr_array(session.matrix(rows, columns, density, form))

    ends, full_row = places(23, 9, 0.4).tolil(), places(9, 37, 0.05).tolil()
    ends[:7] = ends[-6:] = 0
    full_row[4] = 5
    most = np.full((16, 16), -128, np.int8)
    yield draw_samples(session, sp.csr_array(ends), 11)
    yield draw_samples(session, sp.csr_array(full_row), 13)
    yield draw_samples(session, sp.csr_array(np.full((1, 1), -128, np.int8)), 1)
    yield as_sddmm(sp.csr_array(most[:2, :3]), most[:2], most[:, :3])
    yield draw_samples(session, places(12, 10, 1.0), 17)
    yield draw_samples(session, places(14, 33, 0.2) != 0, 24)
    yield draw_samples(session, sp.csr_array(np.eye(30, dtype=np.int8)), 40)
    yield draw_samples(session, places(1, 50, 0.5), 7)
    yield draw_samples(session, places(50, 1, 0.5), 70)
    yield draw_samples(session, places(30, 8, 0.05, "odd"), 130)
    yield draw_samples(session, places(10, 30, 0.3, "odd") != 0, 33)
    # Rows of X that take most of a PE's buffer of them, of which few are needed.
    yield draw_samples(session, places(40, 6, 0.03), 4 * session.config.acc_words * session.config.lanes)


def _plans(session: Session, problem: SddmmProblem) -> Iterator[SddmmPlan]:
    """One of the cheapest; one of every P_k; many small tiles."""
    found = sddmm_plans(problem, session.config)
    yield found[0]
    yield from {plan.pk_log2: plan for plan in found[1:]}.values()
    columns, block = problem.s.shape[1], session.config.lanes
    if columns > 2:
        widest = found[-1]
        slices = session.config.pes >> widest.pk_log2
        yield replace(widest, k_cuts=(0, 1, columns // 2, columns), slice_words=1,
                      block_columns=block * slices)


def sample_image(session: Session, problem: SddmmProblem, plan: SddmmPlan, **last: int) -> runtime.Image:
    """Tiles in halves where they fit; `last`: fields of the last descriptor."""
    image, config = build_sddmm_image(problem, plan, MEMORY_BYTES), session.config
    deepest = max((tile.k_count - 1 >> plan.pk_log2) + 1 for tile in plan.tiles())
    if deepest * plan.slice_words <= config.lane_values // 2 and session.rng.random() < 0.5:
        for number in range(image.descriptor_count):
            edited(image, number, whole=0, half=number % 2)
    return edited(image, image.descriptor_count - 1, **last)


def check_samples(session: Session, problem: SddmmProblem, image: runtime.Image, base: int) -> None:
    """What an image's job has left, against the golden model."""
    fields = fields_of(image, image.descriptor_count - 1)
    b = np.ascontiguousarray(problem.bt.stored.T)
    expected = golden.sampled_matmul(problem.s.stored, problem.a.stored, b)
    if fields["relu"]:
        expected = np.maximum(expected, 0)
    if fields["out_int8"]:
        expected = golden.apply_scale(expected, fields["scale"])
    length = len(expected) * expected.itemsize
    content = session.recorder.read_memory((base + image.c_address) % STORAGE_BYTES, length)
    np.testing.assert_array_equal(np.frombuffer(content, expected.dtype.newbyteorder("<")), expected)


def samples(session: Session) -> None:
    """Of every shape, by several plans, with every finish."""
    if _refuses(session):
        return
    finishes: list[dict[str, int]] = [
        {}, {"relu": 1}, {"out_int8": 1, "scale": int(scale_words(SCALE))},
        {"out_int8": 1, "relu": 1, "scale": int(scale_words(SCALE))}]
    number = 0
    for problem in _problems(session):
        for plan in _plans(session, problem):
            with mock.patch.object(runtime, "INDEX16_COLUMNS", EVERYTHING * (number % 3 > 0)):
                image = sample_image(session, problem, plan, **finishes[number // 2 % 4])
            session.any_memory()
            base = session.move(image)
            assert session.run(image, base=base) == 0, plan.label()
            check_samples(session, problem, image, base)
            number += 1


def sampled_lists(session: Session) -> None:
    """Lists in which samples and products take turns."""
    if not session.config.sddmm:
        return
    for rows, inner, columns in ((9, 20, 12), (17, 33, 9), (4, 8, 40)):
        problem = draw_samples(session, session.matrix(rows, columns, 0.4, "csr"), inner)
        plans = sddmm_plans(problem, session.config)
        a, b = session.matrix(rows, inner, 0.5, "csr"), session.matrix(inner, columns, 0.8, "dense")
        images, bases, contents = [], [], b""
        for number in range(5):
            image = (sample_image(session, problem, plans[number % len(plans)]) if number % 2 == 0
                     else session.image(a, b))
            bases.append(session.move(image))
            images.append(image)
            contents += content_of(image)
        session.any_memory()
        for image, base in zip(images, bases, strict=True):
            session.put(image, base)
        together = runtime.Image([(0, contents)], 0, len(contents) // DESCRIPTOR_BYTES)
        assert session.run(together) == 0
        for number, (image, base) in enumerate(zip(images, bases, strict=True)):
            if number % 2 == 0:
                check_samples(session, problem, image, base)
            else:
                found = session.recorder.read_memory((base + image.c_address) % STORAGE_BYTES, image.c_bytes)
                assert found == expected_result(a, b).tobytes()
            session.recorder.read_memory(base % STORAGE_BYTES, MEMORY_BYTES)


def sample_faults(session: Session) -> None:
    """Malformed places, and every stream outside the memory."""
    if not session.config.sddmm:
        return
    rng = session.rng

    def some() -> tuple[SddmmProblem, runtime.Image]:
        problem = draw_samples(session, session.matrix(12, 18, 0.4, "csr"), 20)
        plans = sddmm_plans(problem, session.config)
        return problem, sample_image(session, problem, plans[int(rng.integers(len(plans)))])

    for offset, pointer in ((0, 1000), (4, 0), (44, 7), (8, 0), (20, 0xFFFF_FFFF), (44, 1 << 20)):
        session.any_memory()
        _, image = some()
        image.pieces.append((fields_of(image, 0)["a_pointers"] + offset, pointer.to_bytes(4, "little")))
        assert session.run(image) & 0xFF in (ErrorCode.ROW_POINTER, ErrorCode.COLUMN_INDEX)
    for place, index in ((0, 18), (7, 19), (-1, 0xFFFF), (-1, 18), (3, 0x4000)):
        session.any_memory()
        _, image = some()
        fields = fields_of(image, 0)
        at = fields["a_indices"] + 2 * (place % fields["a_nnz"])
        image.pieces.append((at, index.to_bytes(2, "little")))
        assert session.run(image) & 0xFF == ErrorCode.COLUMN_INDEX
    names = ("a_pointers", "a_indices", "a_values", "b_values", "x_values", "c_address", "cin_address")
    for name in names:
        for last in (False, True):
            session.any_memory(STORAGE_BYTES)
            _, image = some()
            number = (image.descriptor_count - 1) * last
            outside = OUTSIDE + int(rng.integers(0, 1 << 20)) * 64
            used = name != "cin_address" or fields_of(image, number)["accumulate"]
            error = session.run(edited(image, number, **{name: outside}), look=False)
            wanted = ErrorCode.WRITE_BUS if name == "c_address" else ErrorCode.READ_BUS
            skipped = name == "a_values" and fields_of(image, 0)["opcode"] == 3
            assert error & 0xFF == (wanted if used and not skipped else ErrorCode.NONE), (name, hex(error))
    for part in range(1, 6):
        _, image = some()
        session.memory(latency=int(rng.integers(2, 40)), limit_bytes=image.used_bytes * part // 6 // 64 * 64)
        session.run(image)
    session.memory()
    problem, image = some()
    base = session.move(image)
    assert session.run(image, base=base) == 0
    check_samples(session, problem, image, base)
