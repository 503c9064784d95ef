"""Descriptors of elementwise operations, samples and CSR results that are refused, as the models say."""

import numpy as np

from hdl.descriptor import Opcode, field_number
from sim.models.extents import extent_error, extents, field_error
from zerolane import runtime
from zerolane.elementwise import as_elementwise, build_elementwise, describe
from zerolane.sddmm import as_sddmm, build_sddmm_image, sddmm_plans

from .images import FIELDS, edited, fields_of
from .session import MEMORY_BYTES, Session

__all__ = ["edges_of_arrays", "refused_fields"]

BLOCK_BYTES = 64
EDGE_TRIALS = 240
FIELD_TRIALS = 60
LARGEST = (1 << 32) - 1


def _images(session: Session) -> list[runtime.Image]:
    """One job of each kind that the array knows beside the products into dense results."""
    config, images = session.config, []
    x, y = (session.matrix(6, 24, 0.5, "csr") for _ in range(2))
    if config.csr_out:
        b = session.matrix(24, 9, 0.5, "csr")
        images.append(session.image(x, b, out="csr"))
    if config.elementwise:
        for left in (x, x.astype(np.int32)):
            image, fields = build_elementwise(as_elementwise("add", left, y), config, MEMORY_BYTES)
            describe(image, fields)
            images.append(image)
    if config.sddmm:
        for places in (x, x != 0):
            dense = (session.rng.integers(-128, 128, shape).astype(np.int8) for shape in ((6, 20), (20, 24)))
            problem = as_sddmm(places, *dense)
            images.append(build_sddmm_image(problem, sddmm_plans(problem, config)[0], MEMORY_BYTES))
    return images


def _expect(session: Session, image: runtime.Image, windows: dict[str, tuple[int, int]]) -> bool:
    """Whether the models refuse it; then so must the array, with the same code, field and address."""
    fields = fields_of(image, 0)
    wrong = field_error(session.config, fields, None) or extent_error(session.config, fields, windows)
    if wrong is None:
        return False
    code, name, *address = wrong
    error = session.run(image, count=1, look=False)
    assert error == code.value | field_number(name) << 8, (hex(error), wrong, fields)
    if address:
        assert session.read("ERROR_ADDRESS") == address[0], (wrong, fields)
    return True


def refused_fields(session: Session) -> None:
    """Every condition by itself, then fields by chance."""
    rng, everywhere = session.rng, {"read": (0, LARGEST), "write": (0, LARGEST)}
    bad: list[dict[str, int]] = [
        {"rows": 0}, {"a_format": 3}, {"a_format": 0}, {"reuse_tile": 1}, {"k_start": 1},
        {"k_start": 1 << 31}, {"n_start": 1}, {"n_start": 1 << 31}, {"out_raw": 1},
        {"out_raw": 1, "out_int8": 1},
        {"accumulate": 1}, {"row_bias": 1}, {"row_scale": 1, "params_address": 2},
        {"row_scale": 1, "params_address": 1}, {"a_pointers": 1}, {"a_pointers": 2}, {"a_indices": 1},
        {"b_pointers": 1}, {"b_pointers": 2}, {"b_indices": 1}, {"b_values": 1}, {"b_values": 2},
        {"accumulate": 1, "cin_address": 1}, {"accumulate": 1, "cin_address": 2}, {"a_nnz": 0},
        {"operation": 2}, {"group_log2": 1}, {"group_log2": 8}, {"pk_log2": 9}, {"slice_words": 0},
        {"slice_words": session.config.acc_words}, {"half": 1, "whole": 1},
        *({"b_format": form} for form in range(4)), *({"out_csr": value} for value in range(2)),
        *({"group_log2": group, "pk_log2": session.config.pe_bits, "slice_words": 1} for group in (1, 2))]
    session.memory(latency=3)
    for values in bad:
        for image in _images(session):
            _expect(session, edited(image, 0, **values), everywhere)
    for _ in range(FIELD_TRIALS):
        for image in _images(session):
            for name in rng.choice(list(FIELDS), 2):
                top = (1 << FIELDS[name].bits) - 1
                values = [0, 1, 2, top, top >> 1, int(rng.integers(0, top + 1))]
                edited(image, 0, **{name: int(rng.choice(values))})
            _expect(session, image, everywhere)


def edges_of_arrays(session: Session) -> None:
    """Sizes of any magnitude; each array ends with its window, or just behind it."""
    rng = session.rng
    session.memory(latency=3)
    for number in range(EDGE_TRIALS):
        images = _images(session)
        if not images:
            return
        image = images[number % len(images)]
        fields = fields_of(image, 0)
        sampled = fields["opcode"] in (Opcode.SDDMM.value, Opcode.SDDMM_PATTERN.value)
        names = ["a_nnz", "rows", *(["a_stride"] if sampled else ["c_capacity", "b_nnz"])]
        for name in names:
            if rng.random() < 0.5:
                edited(image, 0, **{name: int(2 ** rng.uniform(0, 29))})
        for name in ("csr_index32", "out_int8"):
            edited(image, 0, **{name: int(rng.integers(2))})
        if sampled and rng.random() < 0.4:
            edited(image, 0, accumulate=1, out_int8=0, out_raw=int(rng.integers(2)),
                   cin_address=fields["c_address"])
        name, windows = str(rng.choice(["READ", "WRITE"])), {"read": (0, LARGEST), "write": (0, LARGEST)}
        last = _last_of(session, image, name == "WRITE", number)
        windows[name.lower()] = (0, last)
        session.write(f"{name}_LAST", last)
        if not _expect(session, image, windows):
            session.run_for(image, 90)
        session.write(f"{name}_LAST", LARGEST)
    a, b = session.matrix(3, 9, 0.9, "dense"), session.matrix(9, 4, 0.9, "dense")
    session.product(a, b)


def _last_of(session: Session, image: runtime.Image, write: bool, number: int) -> int:
    """The end of a window that begins at 0, and the array of which an element is put at that end, or one
    behind it."""
    rng = session.rng
    of_window = [extent for extent in extents(session.config, fields_of(image, 0)) if extent.write == write]
    chosen = of_window[number // 5 % len(of_window)]
    last = int(rng.integers(1, 1 << 26)) * BLOCK_BYTES - 1
    length = chosen.end - chosen.address
    step = 4 if chosen.field.rpartition("_")[2] in ("pointers", "address", "values") else 2
    address = (last + 1 - length) // step * step + step * int(rng.integers(2))
    if 0 <= address <= LARGEST:
        edited(image, 0, **{chosen.field: address})
    return last
