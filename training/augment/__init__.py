"""Dual augmentation: a product picture seen from slightly elsewhere, and in a worse state.

The paper's remedy against copy and paste (Sec. "AdProd-100K"): novel but similar views by Gaussian
splatting, and degradations. See docs/adprod.md.
"""
