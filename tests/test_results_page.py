"""scripts/results.py: the page holds every product of the records, and explains those that are slow."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from zerolane.sweep import FORMS, ZEROS


@pytest.fixture
def results() -> ModuleType:
    path = Path(__file__).parent.parent / "scripts" / "results.py"
    spec = importlib.util.spec_from_file_location("results_page", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def record(kernel: str, matrix: str, cycles: int = 1000, **more: Any) -> dict[str, Any]:
    plan = {"plan": "a plan", "predicted_cycles": cycles, "cycles": cycles, "mismatches": 0}
    counters = dict.fromkeys(("wait_collector", "wait_memory", "wait_a", "drain", "command"), 0)
    return {"bench_kernel": kernel, "matrix": matrix, "shape": [256, 256, 256], "nnz": 10, "passes": 1,
            "cycles": cycles, "predicted_cycles": cycles, "token_cycles": 950.0, "memory_cycles": 10.0,
            "efficiency": 950 / cycles, "counters": {"busy": 950, "wait_tile": cycles - 950, **counters},
            "out_dtype": "int32", "read_beats": 5, "write_beats": 5, "plan": "a plan", "plans": [plan],
            "legal_plans": 3, "choice_excess": 0.0, "mismatches": 0, **more}


def all_records(results: ModuleType) -> dict[str, list[dict[str, Any]]]:
    narrow = [record(kernel, "west0479") for kernel in results.MATRIX_KERNELS[1:]]
    forms = [record("sweep", "layer", form="dense", zeros=0.0, cycles=4000)]
    forms += [record("sweep", "layer", form=form, zeros=zeros) for form in FORMS[1:] for zeros in ZEROS]
    return {"wide": [record("spmm:128", "add20"), record("spmm:128", "slow_one", cycles=1900)],
            "narrow": narrow, "int8": [record("spmm:128", "add20"), *narrow],
            "gemm": [record("gemm", "256x256x256")], "gemm8": [record("gemm", "256x256x256")], "sweep": forms}


def test_the_page_holds_every_product_with_its_command(results: ModuleType) -> None:
    page = results.page(all_records(results), "folder")
    for text in ("| add20 |", "| slow_one |", "| west0479 |", "| 256x256x256 |", "| 12.5% |",
                 "zerolane bench --preset large --matrices folder --kernels spmm:128 --plans"):
        assert text in page
    assert "4.00" in page and "0 wrong" in page.replace("\n", " ")


def test_only_what_is_under_nine_tenths_is_explained(results: ModuleType) -> None:
    page = results.page(all_records(results), "folder")
    (line,) = (line for line in page.splitlines() if line.startswith("- spmm:128"))
    assert "slow_one" in line and "950: tokens wait for the first tile" in line


def test_all_floors_of_all_kernels_are_beside_the_figures(results: ModuleType) -> None:
    text = results.floors_section(all_records(results)["wide"] + all_records(results)["narrow"])
    assert "(0.92)" in text and "0.500 (0.7)" in text and len(text.splitlines()) == 6
