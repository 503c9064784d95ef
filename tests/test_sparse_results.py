"""scripts/sparse_results.py: the page holds every result of the records."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def results() -> ModuleType:
    path = Path(__file__).parent.parent / "scripts" / "sparse_results.py"
    spec = importlib.util.spec_from_file_location("sparse_results", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def record(kernel: str, matrix: str, efficiency: float, passes: int = 1) -> dict[str, Any]:
    names = ("busy", "wait_tile", "wait_collector", "wait_memory", "wait_a", "drain", "command")
    return {"bench_kernel": kernel, "matrix": matrix, "shape": [9, 9], "nnz": 10, "passes": passes,
            "out_nnz": 7, "cycles": 1000, "token_cycles": 0.0, "memory_cycles": 1000 * efficiency,
            "efficiency": efficiency, "counters": dict.fromkeys(names, 0), "plan": f"how {matrix} was cut",
            "mismatches": 0}


def test_the_page_holds_every_result_its_plan_and_the_means(results: ModuleType) -> None:
    parts = {"elementwise": [record("add", "one", 0.9), record("add", "two", 0.4)],
             "squares": [record("spgemm", "one", 0.5, passes=2), record("spgemm", "two", 0.8)]}
    page = results.page(parts, "folder")
    for text in ("| add | 2 | 0.600 | 0.600 (2) | 0.400 (two) | 0.85 | - |",
                 "| spgemm | 2 | 0.632 | 0.800 (1) | 0.500 (one) | 0.70 | - |", "- two: how two was cut",
                 "--matrices folder --kernels add,mul --json records/elementwise.json"):
        assert text in page
    assert "| one | 9x9 | 10 | 7 | 2 | 1,000 | 500 | memory | 0.500 |" in page


def test_a_matrix_that_a_kernel_was_not_measured_with_is_named(results: ModuleType) -> None:
    page = results.page({"elementwise": [record("add", "one", 0.9), record("add", "large", 0.9)],
                         "squares": [record("spgemm", "one", 0.5)]}, "folder")
    assert "| spgemm | 1 | 0.500 | 0.500 (1) | 0.500 (one) | 0.70 | large |" in page


def test_a_record_that_was_not_made_is_named(results: ModuleType) -> None:
    page = results.page({"elementwise": [record("add", "one", 0.9)]}, "folder")
    lines = [line for line in page.splitlines() if "not measured yet" in line]
    assert len(lines) == 3 and "spgemm_t" in lines[-1]
