"""The work on labels: annotation jobs, previews of corrections, codebook repair and taxonomy evolution."""
