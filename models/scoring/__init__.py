"""Pictures -> scores: is it this product, does it keep its size, is it sharp, is it safe."""
