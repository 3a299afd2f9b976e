"""Estimates what a study will cost: hours of GPUs and processors, disk, links, from the configuration.

A rate is measured where a run left Snakemake's benchmark files (results/benchmarks, seconds in the column `s`) together
with the tables that it made. Otherwise it is assumed. The estimate says of every number which of the two it is. Nothing
here imports torch.
"""
