"""Codebook repair: find labels that annotators confuse, and draft deciding rules for them."""
