"""Queries by subject: a transaction and values in, frozen values out."""
