"""AdProd: ad pictures -> training triplets (scene text, product picture, ad), after the paper's
AdProd-100K. See docs/adprod.md.
"""
