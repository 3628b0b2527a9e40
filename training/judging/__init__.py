"""How good a RefAdGen is: measures on held-out samples, with intervals.

Those that need no download are stand-ins under their own names, made of EfficientNet-Lite0, which
nothing is trained on. Those of the paper need a hub (`hub`).
"""
