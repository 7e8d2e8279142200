"""Makes a release and checks it: ``python -m release``. CONTRIBUTING.md says how a release goes.

Nothing here is imported by the plugin, and nothing here imports it: what is checked is the built wheel, in
virtual environments from which the checkout can't be imported.
"""
