"""The annotation job: blind labelling, disagreements between annotators, and the gold labels made from them."""
