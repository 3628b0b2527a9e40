"""What the studio is asked for: a product's parts and the views it is shown in."""

from collections.abc import Callable
from dataclasses import dataclass

from training.rendering.tracing import Part, View


@dataclass(frozen=True, slots=True)
class Product:
    """`slug` names the picture; further views become `slug-2`, `slug-3`."""

    slug: str
    build: Callable[[], list[Part]]
    views: tuple[View, ...] = (View(),)
    max_depth: int = 8

    def pictures(self) -> list[tuple[str, View]]:
        return [
            (self.slug if k == 0 else f"{self.slug}-{k + 1}", view)
            for k, view in enumerate(self.views)
        ]
