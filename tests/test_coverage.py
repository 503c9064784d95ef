"""tests.verification.coverage and .points: every point is in hardware, and hit by the corpus (slow tier)."""

from pathlib import Path

import pytest

from hdl.config import PRESETS
from tests.simulators import need
from tests.verification.campaign import CONFIGS
from tests.verification.coverage import Branch, Coverage, measure
from tests.verification.points import point_names
from tests.verification.unreached import POINTS, reason_for_branch, reason_for_point


@pytest.mark.parametrize("name", list(CONFIGS))
def test_every_point_has_a_meaning_and_a_place_in_the_hardware(name: str) -> None:
    points = point_names(CONFIGS[name].config)
    assert len(points) > 100 and all(points.values())


def test_reasons_are_given_for_points_that_exist() -> None:
    for name, reasons in POINTS.items():
        assert set(reasons) <= set(point_names(CONFIGS[name].config))


def test_the_configurations_have_every_option_of_the_presets() -> None:
    configs = [measured.config for measured in CONFIGS.values()]
    assert {config.compressed_b for config in configs} == {config.compressed_b for config in PRESETS.values()}
    assert {config.chains for config in configs} == {config.chains for config in PRESETS.values()}
    assert {config.scale_multipliers == 1 for config in configs} == {True, False}


def test_branches_of_modules_that_are_alike_count_together() -> None:
    taken, missed = (Branch("zerolane_array_pe.accumulator0", line, "if", "if (rst)") for line in (1, 2))
    coverage = Coverage(branches={taken: 3, missed: 0})
    assert coverage.by_block() == {"pe.accumulator": (1, 2)}
    assert coverage.missed() == [missed]


@pytest.mark.slow
@pytest.mark.verilator
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", list(CONFIGS))
def test_what_the_corpus_does_not_reach_has_a_reason(name: str, tmp_path: Path) -> None:
    need("verilator")
    coverage = measure(CONFIGS[name].config, tmp_path, random_jobs=40, report=lambda text: None)
    missed = [point for point, count in coverage.points.items() if not count]
    assert [point for point in missed if reason_for_point(point, name) is None] == []
    assert [branch for branch in coverage.missed() if reason_for_branch(branch, name) is None] == []
