"""Variants of one item that share a photo: the sizes of a garment, as a rule.

Each stays a product with slots of its own; their renders are one, since a render's fingerprint
holds the photo and not the product.
"""

from collections.abc import Collection

from sqlalchemy import text

from adloom.field_mapping import VARIANT_FIELDS
from adloom.records import PhotoSharing
from db.engine import Transaction

_SHARING = text("""
WITH shown AS (
    SELECT DISTINCT p.source_id, p.item_group_id, pp.location
    FROM product p JOIN product_photo pp ON pp.product_id = p.id AND pp.role = 'main'
    WHERE p.id = ANY (CAST(:products AS bigint[])) AND p.item_group_id IS NOT NULL
), sharing AS (
    SELECT s.*, p.id, p.attributes
    FROM shown s JOIN product p USING (source_id, item_group_id)
    JOIN product_photo pp ON pp.product_id = p.id AND pp.role = 'main' AND pp.location = s.location
    WHERE p.active
), counted AS (
    SELECT source_id, item_group_id, location, count(*) AS products FROM sharing
    GROUP BY source_id, item_group_id, location HAVING count(*) > 1
), differing AS (
    SELECT source_id, item_group_id, location, name
    FROM sharing CROSS JOIN unnest(CAST(:names AS text[])) AS name
    GROUP BY source_id, item_group_id, location, name
    HAVING count(DISTINCT coalesce(attributes ->> name, '')) > 1
)
SELECT s.id, c.products, ARRAY(SELECT d.name FROM differing d
    WHERE (d.source_id, d.item_group_id, d.location)
        = (c.source_id, c.item_group_id, c.location) ORDER BY d.name) AS differ_by
FROM counted c JOIN sharing s USING (source_id, item_group_id, location)
WHERE s.id = ANY (CAST(:products AS bigint[]))
""")


def photo_sharing(tx: Transaction, product_ids: Collection[int]) -> dict[int, PhotoSharing]:
    """Of these products, those whose main photo active variants of the same item show too."""
    rows = tx.execute(_SHARING, {"products": list(product_ids), "names": list(VARIANT_FIELDS)})
    return {r.id: PhotoSharing(r.products, tuple(r.differ_by)) for r in rows}
