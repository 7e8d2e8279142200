"""What ``benchmarks.process_memory`` has the fork server import, as ``examples/deploy/prewarm.py`` does."""

import gc

import videosdk.agents

import videosdk.plugins.lokutor  # noqa: F401

gc.collect()
gc.freeze()
