"""A Lokutor-compatible server for this machine: no account, no network.

Nothing in the plugin imports this package; it imports only the plugin's pure modules and its resampler.
"""
