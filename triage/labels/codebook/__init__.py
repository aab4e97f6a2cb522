"""Repair a codebook: find labels that annotators confuse and draft deciding rules for them."""
