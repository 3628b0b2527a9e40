"""The demo's products, by kind."""

from demo.rendering.product import Product

from . import carried, cosmetics, household, pantry, played

PRODUCTS: tuple[Product, ...] = (
    *cosmetics.PRODUCTS,
    *pantry.PRODUCTS,
    *household.PRODUCTS,
    *played.PRODUCTS,
    *carried.PRODUCTS,
)
