"""How far token queues even out what is uneven: the token bus as a max-plus recurrence over samples.

A beat of tokens passes the bus when every PE's queue has room, and a PE takes its own tokens in order. Where
many tokens of some beats belong to one PE, the others run dry although each has as many in the end.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hdl.config import Config

__all__ = ["TokenStream", "csr_beats"]

_FREE_BEATS = 4         # a PE's queue stops the bus while so many places are free: beats are under way
_SEGMENT_BEATS = 256    # measured in one sample
_WARM_UP_BEATS = 96     # before it, to fill the queues
_MOST_SEGMENTS = 16


def csr_beats(lengths: npt.NDArray[np.int64], beat_tokens: int) -> npt.NDArray[np.int64]:
    """The beat of each entry of rows of these lengths: a beat has T entries, or ends two rows."""
    places = np.maximum(lengths, beat_tokens // 2)
    first = np.cumsum(places) - places - (np.cumsum(lengths) - lengths)
    return (np.repeat(first, lengths) + np.arange(int(lengths.sum()))) // beat_tokens


@dataclass(frozen=True, eq=False)
class TokenStream:
    """Tokens in the order of the token bus.

    Attributes
    ----------
    k : int64 (tokens,), the row of the resident operand that each takes
    beats : int64 (tokens,), never decreasing, the beat that each is in
    """

    k: npt.NDArray[np.int64]
    beats: npt.NDArray[np.int64]

    @classmethod
    def of_csr(cls, indptr: npt.NDArray, indices: npt.NDArray, keep: npt.NDArray,
               beat_tokens: int) -> "TokenStream":
        """Of CSR arrays; `keep` marks entries that are not zero."""
        beats = csr_beats(np.diff(indptr).astype(np.int64), beat_tokens)
        return cls(indices[keep].astype(np.int64), beats[keep])

    @classmethod
    def of_dense(cls, matrix: npt.NDArray[np.int8], beat_tokens: int) -> "TokenStream":
        """Of a matrix's rows, T values a beat; beats without a token are not sent, but take their cycle."""
        rows, k = np.nonzero(matrix)
        return cls(k, rows * -(-matrix.shape[1] // beat_tokens) + k // beat_tokens)

    @cached_property
    def _samples(self) -> tuple[npt.NDArray[np.int64], int]:
        """First beats (warm-up included) of evenly spread segments, and their length in beats."""
        total = int(self.beats[-1]) + 1
        if total <= _SEGMENT_BEATS:
            return np.zeros(1, np.int64), total
        count = min(_MOST_SEGMENTS, total // _SEGMENT_BEATS)
        last = total - _SEGMENT_BEATS - _WARM_UP_BEATS
        length = min(_SEGMENT_BEATS + _WARM_UP_BEATS, total)
        return np.linspace(0, max(0, last), count).astype(np.int64), length

    def stretch(self, config: Config, owners: npt.NDArray[np.int64], count: int,
                words: npt.NDArray[np.int64]) -> float:
        """Cycles that the lanes need over those of the busiest PE if its queue never were empty, at least 1.

        Parameters
        ----------
        owners : (K,), which of `count` owners each row k belongs to
        words : (K, slices), cycles that a token of row k takes in each column slice
        """
        if not len(self.k):
            return 1.0
        starts, length = self._samples
        work = np.stack([self._work(int(start), length, owners, count, words) for start in starts])
        finished, passed, warm = _run(work, max(1, config.queue_beats - _FREE_BEATS))
        measured = passed[:, -1] - passed[:, warm]
        if warm == 0:
            measured = finished.max(axis=1)
        sampled = work[:, warm + 1 if warm else 0:].sum(axis=(0, 1)).reshape(-1, count)
        whole = np.stack([np.bincount(owners[self.k], weights=column[self.k], minlength=count)
                          for column in words.T])
        # A sample's own busiest PE says little of the whole's: both are compared with the average PE.
        needed = float(measured.sum()) / max(1.0, float(sampled.mean(axis=1).max()))
        return max(1.0, needed / float(whole.max() / whole.mean(axis=1).max()))

    def _work(self, start: int, length: int, owners: npt.NDArray[np.int64], count: int,
              words: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Cycles of every PE for each beat of a segment, (length, PEs)."""
        low, high = np.searchsorted(self.beats, (start, start + length))
        k, beats = self.k[low:high], self.beats[low:high] - start
        key = beats * count + owners[k]
        parts = [np.bincount(key, weights=words[k, number], minlength=length * count)
                 for number in range(words.shape[1])]
        return np.concatenate([part.reshape(length, count) for part in parts], axis=1)


def _run(work: npt.NDArray[np.float64], depth: int) -> tuple[npt.NDArray, npt.NDArray, int]:
    """All segments at once: when each PE is done (segments, PEs), when each beat passes (segments, beats),
    and the beat that measuring begins after (0: from the first)."""
    segments, beats, pes = work.shape
    room = np.zeros((depth, segments, pes))  # when a place of each queue becomes free
    at = np.zeros((segments, pes), np.int64)
    finished, passed = np.zeros((segments, pes)), np.zeros((segments, beats))
    now = np.zeros(segments)
    rows, columns = np.ogrid[:segments, :pes]
    for number in range(beats):
        own = work[:, number]
        now = np.maximum(now + 1, room[at, rows, columns].max(axis=1))
        passed[:, number] = now
        has = own > 0
        finished = np.where(has, np.maximum(finished, now[:, None]) + own, finished)
        room[at, rows, columns] = np.where(has, finished, room[at, rows, columns])
        at = (at + has) % depth
    return finished, passed, _WARM_UP_BEATS if beats == _SEGMENT_BEATS + _WARM_UP_BEATS else 0
