"""What becomes known of a job: reports of faults, and the status a host reads."""

from amaranth.lib import data

from .config import ADDRESS_BITS

__all__ = ["AT_WORK_BITS", "COUNT_BITS", "JobError", "JobStatus", "Report"]

COUNT_BITS = 16
"""Counts and numbers of descriptors."""

AT_WORK_BITS = 2
"""The lowest bits of a descriptor's number: they tell apart those that are at work at one time."""


def JobError() -> data.StructLayout:
    """The ERROR and ERROR_ADDRESS registers; a code of 0 is no error."""
    return data.StructLayout({"code": 8, "detail": 8, "descriptor": COUNT_BITS, "address": ADDRESS_BITS})


def Report() -> data.StructLayout:
    """A fault that ends the job, while `valid`."""
    return data.StructLayout({"valid": 1, "error": JobError()})


def JobStatus() -> data.StructLayout:
    """What the control port shows of the running or last job; see STATUS, COMPLETED and ERROR."""
    return data.StructLayout({"busy": 1, "closing": 1, "overflow": 1, "completed": COUNT_BITS,
                              "error": JobError()})
