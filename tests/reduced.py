"""The smallest array with everything in it: for builds that a test can wait for."""

from hdl.config import Config

__all__ = ["REDUCED"]

REDUCED = Config(name="reduced", pes=2, lanes=2, port_bytes=4, tile_bytes=1024, beat_tokens=2, acc_words=4,
                 chains=1, queue_beats=4, row_queue_rows=4, read_buffer_beats=32,
                 compressed_b=False, scale_multipliers=1)
