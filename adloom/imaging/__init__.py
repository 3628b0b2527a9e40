"""Pixels: canonical pictures, placed masks, finishing, measures, encoding.

Functions of arrays in memory: no files, no network, no state.
"""
