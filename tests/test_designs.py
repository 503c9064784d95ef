"""synth.designs: a hash of the hardware, which does not change with what is no hardware."""

from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from synth import designs
from synth.designs import design_hash, hash_of_texts


class Delay(wiring.Component):
    """A register."""

    i: In(1)
    o: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.i)
        return m


class DelayElsewhere(Delay):
    """The same register, in other lines."""

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.i)
        return m


class TwoDelays(Delay):
    """Another one behind it."""

    def elaborate(self, platform):
        m = Module()
        between = Signal()
        m.d.sync += [between.eq(self.i), self.o.eq(between)]
        return m


class Families(Delay):
    """A register that iCE40 has not."""

    def elaborate(self, platform):
        if platform.family != "ice40":
            return super().elaborate(platform)
        m = Module()
        m.d.comb += self.o.eq(self.i)
        return m


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZEROLANE_CACHE", str(tmp_path))


def test_the_same_hardware_in_other_lines_is_the_same_design() -> None:
    assert design_hash(Delay, "ecp5", "one") == design_hash(DelayElsewhere, "ecp5", "other")


def test_other_hardware_is_another_design() -> None:
    assert design_hash(Delay, "ecp5", "one") != design_hash(TwoDelays, "ecp5", "other")


def test_what_differs_in_a_family_of_parts_is_another_design_there() -> None:
    assert design_hash(Delay, "gowin", "one") == design_hash(Delay, "ice40", "one")
    assert design_hash(Families, "gowin", "other") != design_hash(Families, "ice40", "other")


def test_of_unchanged_sources_it_is_not_made_again() -> None:
    made = []

    def make() -> Delay:
        made.append(Delay())
        return made[-1]

    for sources, made_of, times in (("one", 1, 1), ("one", 1, 1), ("one", 2, 2), ("other", 1, 3)):
        design_hash(make, "ecp5", sources, made_of)
        assert len(made) == times


def test_another_step_behind_synthesis_is_another_design_for_ecp5(monkeypatch: pytest.MonkeyPatch) -> None:
    families = ("ecp5", "gowin", "ice40")
    before = [hash_of_texts(["text"], family) for family in families]
    monkeypatch.setattr(designs, "_ON_NETLISTS", (Path(__file__),))
    after = [hash_of_texts(["text"], family) for family in families]
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True, True]
