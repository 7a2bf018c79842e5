"""`A:B` on a command line."""

import click


class SeedRange(click.ParamType[range]):
    """`A:B`, both included, or one seed."""

    name = "A:B"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> range:
        """Reads a range."""
        first, colon, last = str(value).partition(":")
        try:
            seeds = range(int(first), int(last if colon else first) + 1)
        except ValueError:
            self.fail(f"expected A:B, such as 1:200, got {str(value)[:64]!r}", param, ctx)
        if not seeds or seeds[0] < 0:
            self.fail(f"expected A:B with 0 <= A <= B, got {str(value)[:64]!r}", param, ctx)
        return seeds
