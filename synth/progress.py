"""Who hears what the flow does."""

__all__ = ["Progress"]


class Progress:
    """Hears what the flow does; this one says nothing."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def line(self, text: str) -> None:
        """The running tool wrote a line."""

    def note(self, text: str) -> None:
        """What is to be kept in view: where logs are, that a result is of an earlier day."""
