"""Is the planner's choice the best? The other legal plans of a product, measured beside the chosen one."""

from collections.abc import Callable
from typing import Any

from zerolane.device import Device
from zerolane.report import Request

__all__ = ["CHOICE_TOLERANCE", "compare_plans", "summarise_plans"]

CHOICE_TOLERANCE = 0.03
"""The chosen plan takes at most so much more cycles than the best one measured."""


def compare_plans(device: Device, request: Request, record: dict[str, Any], within: float,
                  progress: Callable[[str], None]) -> dict[str, Any]:
    """Run the other plans of a product that was just run with the planner's choice.

    Parameters
    ----------
    record : of the run with the chosen plan
    within : plans are run that are predicted to take at most so many times the best prediction

    Returns `plans` (a list of label, predicted_cycles, cycles, mismatches; the chosen one first),
    `legal_plans` (their number, before `within`), `best_cycles`, and `choice_excess`, the share that the
    choice takes longer than the best; `mismatches` is of all runs.
    """
    work = request.work
    measured = [{"plan": record["plan"], "predicted_cycles": record["predicted_cycles"],
                 "cycles": record["cycles"], "mismatches": record["mismatches"]}]
    legal = device.plans(work.a, work.b, **request.options) if record["cycles"] else []
    worth_it = [plan for plan in legal[1:] if plan.cycles <= within * legal[0].cycles]
    for number, plan in enumerate(worth_it):
        progress(f"plan {number + 2} of {len(worth_it) + 1}")
        c = device.matmul(work.a, work.b, plan=plan, **request.options)
        assert device.last_job is not None
        measured.append({"plan": plan.label(), "predicted_cycles": round(plan.cycles),
                         "cycles": device.last_job.cycles, "mismatches": request.mismatches(c)})
    best = min(entry["cycles"] for entry in measured)
    return {"plans": measured, "legal_plans": len(legal), "best_cycles": best,
            "choice_excess": record["cycles"] / best - 1 if best else 0.0,
            "mismatches": sum(entry["mismatches"] for entry in measured)}


def summarise_plans(records: list[dict[str, Any]]) -> list[str]:
    """How many choices are within tolerance of the best, the others by name, and the predictions' errors."""
    if not records:
        return []
    poor = [record for record in records if record["choice_excess"] > CHOICE_TOLERANCE]
    plans = [entry for record in records for entry in record["plans"] if entry["cycles"]]
    lines = [f"the planner's choice is within {CHOICE_TOLERANCE:.0%} of the best of the measured plans for "
             f"{len(records) - len(poor)} of {len(records)} products ({len(plans)} plans measured)"]
    lines += [f"  {record['bench_kernel']} {record['matrix']}: {record['choice_excess']:.1%} slower than "
              f"{min(record['plans'], key=lambda entry: entry['cycles'])['plan']}" for record in poor]
    ratios = [record["predicted_cycles"] / record["cycles"] for record in records if record["cycles"]]
    if ratios:
        lines.append(f"predicted over measured cycles of the choices: {min(ratios):.3f} to {max(ratios):.3f}")
    return lines
